"""Errors of the database at run time."""

from core.errors import GaplessError, TransientError


class StoreUnavailable(TransientError):
    """The database does not answer just now: what was asked is neither done nor lost, try again later."""


class RowsRefused(GaplessError):
    """The database does not take these rows, and nothing that could be replaced in them is the reason."""
