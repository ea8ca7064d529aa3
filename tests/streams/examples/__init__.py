"""Worked examples: a third stream, a second sink."""
