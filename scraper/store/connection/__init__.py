"""The connection to the database: its URL, engines, errors, retries."""
