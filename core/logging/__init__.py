"""Logs of every process: one JSON object a line, rotated files, a stderr whose writes never block."""
