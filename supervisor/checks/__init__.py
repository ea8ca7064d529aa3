"""The probes of `check --connect`."""
