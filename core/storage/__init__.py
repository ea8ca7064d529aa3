"""Files on disk: SQLite, locks, JSON files, private files."""
