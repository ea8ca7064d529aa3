"""What `check --connect` tries."""
