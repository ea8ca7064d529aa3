"""Batches: the rows that are saved together, before they become statements. Pure."""
