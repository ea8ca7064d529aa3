"""Limits and retries: when a request may be sent, and when it is sent again."""
