"""The audit: looks for items that the capture has missed, in sources that do not depend on it."""
