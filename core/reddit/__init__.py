"""What Reddit answers, and what it means: shared by all who ask it."""
