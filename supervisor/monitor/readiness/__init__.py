"""Decides whether everything configured works: reasons for 503, and warnings."""
