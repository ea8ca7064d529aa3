"""One request to Reddit at a time, through PRAW, and the pages that it returns."""
