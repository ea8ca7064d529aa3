"""Text that is safe to show: secrets masked, foreign text bounded, control characters escaped."""
