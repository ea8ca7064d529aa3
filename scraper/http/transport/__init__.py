"""Connections, bodies and routes of HTTP requests."""
