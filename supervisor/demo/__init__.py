"""`python -m supervisor demo`: the whole system on this machine alone, tormented on purpose, and a proof at the end."""
