"""Decides whether everything that is configured flows: reasons and warnings."""
