"""What `deploy/` holds, as far as it can be tried without a container engine."""
