"""Sources: where numbered rows come from."""
