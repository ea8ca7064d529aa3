"""Case-insensitive names: the one rule that Python and both databases follow; and lists of names in statements.

Only A to Z have lower-case letters here. A database's own rule depends on its locale: in a Turkish one the lower case
of I has no dot. SQLite's `lower` follows this rule, and PostgreSQL's does for columns of the collation "C".
"""

import string
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Dialect,
    Select,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.types import TypeEngine

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def name_key(name: str) -> str:
    """Return the key by which a name is compared."""
    return name.lower() if name.isascii() else name.translate(_LOWER)


class _NameList(TypeDecorator[Sequence[str]]):
    """A list as one parameter: an array in PostgreSQL, JSON text in SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type for the database."""
        kind: TypeEngine[Any] = Text() if dialect.name == "sqlite" else ARRAY(Text())
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> object:
        """Return the list in the form that the database reads."""
        return list(value or ()) if dialect.name != "sqlite" else orjson.dumps(list(value or ())).decode()


def is_among(dialect: Dialect, column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
    """Return the SQL condition that the column is one of a list of names.

    The statement is the same for every length of the list, so it is compiled once.
    """
    if dialect.name == "sqlite":
        return column.in_(names_of(dialect, parameter))
    return column == any_(bindparam(parameter, type_=_NameList()))


def names_of(dialect: Dialect, parameter: str, *others: ColumnElement[Any]) -> Select[Any]:
    """Return SQL that yields the names of a list as rows, in their order; `others`: lists that run parallel to it."""
    names: ColumnElement[Any] = bindparam(parameter, type_=_NameList())
    if dialect.name == "sqlite":
        return select(literal_column("value", Text()), *others).select_from(func.json_each(names)).where(true())
    return select(func.unnest(names), *others)
