"""What is saved together, before it becomes statements. Pure."""
