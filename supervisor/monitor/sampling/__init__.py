"""Samples of the whole system, from its files and its supervisor."""
