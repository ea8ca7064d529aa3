"""The delivered positions and the dead letters: publisher.db."""
