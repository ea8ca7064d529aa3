"""Names without regard to case: the one rule that Python and both databases follow. Pure.

Only A to Z have lower-case letters here. A database's own rule depends on its locale: in a Turkish one the lower case
of I has no dot. SQLite's `lower` follows this rule, and PostgreSQL's does for columns of the collation "C".
"""

import string

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def name_key(name: str) -> str:
    """Give what a name is compared by."""
    return name.lower() if name.isascii() else name.translate(_LOWER)
