"""Where numbered rows come from."""
