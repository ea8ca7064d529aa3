"""Authentication, authorization and the access token."""
