"""One running installation: its wiring, its locks, its environment."""
