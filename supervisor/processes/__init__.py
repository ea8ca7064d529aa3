"""Child processes: start, watch, restart, stop."""
