"""The status read from state files: record flow, completeness, and state of the system."""
