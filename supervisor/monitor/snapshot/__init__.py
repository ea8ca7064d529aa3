"""Builds the content of all answers, once per sample."""
