"""The health of a proxy: whom a failure is to blame on, tests, rest periods."""
