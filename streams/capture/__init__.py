"""Capturing one stream: the walk over Reddit's listing, what it proves, and what it could not prove."""
