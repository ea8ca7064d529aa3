"""The crawl of subreddits, their posts and their authors into a database: one process per proxy."""
