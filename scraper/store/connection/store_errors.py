"""Errors of the database at run time."""

from core.errors import GaplessError, TransientError


class StoreUnavailable(TransientError):
    """The database does not answer at present: the call was neither done nor lost, retry later."""


class RowsRefused(GaplessError):
    """The database refuses these rows, and nothing that could be replaced in them is the reason."""
