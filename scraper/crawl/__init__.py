"""The crawl: what is fetched, in which order, and how results are handled."""
