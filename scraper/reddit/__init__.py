"""What is asked of Reddit and what its answers mean. Pure."""
