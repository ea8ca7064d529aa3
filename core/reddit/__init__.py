"""Reddit's answers and their meaning, shared by streams and scraper."""
