"""Sinks: the destinations of records."""
