"""The health of a proxy: the cause of failures, tests, rest periods."""
