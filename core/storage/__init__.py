"""Files on disk: SQLite, locks, JSON files, files for our user only."""
