"""What the database's absence is called."""

from core.errors import TransientError


class StoreUnavailable(TransientError):
    """The database does not answer just now: what was asked is neither done nor lost, try again later."""
