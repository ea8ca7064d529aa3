"""Moments on their way into SQLite: a whole column at once gives the texts that SQLAlchemy gives one by one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from scraper.store.schema.tables import UtcDateTime
from scraper.store.statements.bulk_statement import as_texts

_ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
_MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 30), timezones=_ZONES)  # noqa: DTZ001 (bounds have none)
_WHOLE_SECONDS = _MOMENTS.map(lambda moment: moment.replace(microsecond=0))


@settings(max_examples=200)
@given(st.lists(st.none() | _MOMENTS | _WHOLE_SECONDS, max_size=8))
def test_a_column_is_written_as_sqlalchemy_writes_it(moments: list[datetime | None]) -> None:
    """Whatever the zone, the fraction and the gaps; one moment for all rows too."""
    assert as_texts(moments) == [_written(moment) for moment in moments]
    assert as_texts(moments[:1] * 3) == [_written(moment) for moment in moments[:1] * 3]


def _written(moment: datetime | None) -> object:
    dialect = sqlite.dialect()
    write: Callable[[object], object] | None = UtcDateTime().dialect_impl(dialect).bind_processor(dialect)
    assert write is not None
    return write(moment)
