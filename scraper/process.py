"""The process of one proxy."""
