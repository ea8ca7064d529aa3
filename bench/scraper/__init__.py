"""The scraper's figures: against Reddit's latencies, a bare loop, and the scraper that people write first."""
