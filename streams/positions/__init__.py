"""What is delivered up to where, and the dead letters: publisher.db."""
