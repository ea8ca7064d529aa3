"""What is fetched, in which order, and what becomes of it."""
