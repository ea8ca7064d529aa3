"""What is served: built once per sample."""
