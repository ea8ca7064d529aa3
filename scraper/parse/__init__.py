"""Parses answers of Reddit into rows and figures. Pure."""
