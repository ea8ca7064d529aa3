"""`python -m supervisor demo`: the whole system on this machine, with injected faults, and a proof at the end."""
