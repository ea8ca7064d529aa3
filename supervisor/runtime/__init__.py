"""One running installation: its wiring, locks and environment."""
