"""Outcomes of requests: counted, reported, logged."""
