"""Any JSON at all: rows of the right kinds, or BadAnswer, and nothing else."""

import enum
import typing
from collections.abc import Callable
from datetime import UTC, datetime
from types import NoneType, UnionType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.reddit.request_errors import BadAnswer
from scraper.parse.figures import author_figures, post_figures
from scraper.parse.posts import authors, found_subreddits, posts
from scraper.parse.subreddits import rules, subreddit
from scraper.parse.users import user
from scraper.reddit.rows import Post, Rule, Subreddit, User

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)

_KEYS = sorted(
    {*Post._fields, *Subreddit._fields, *User._fields, *Rule._fields}
    | {"kind", "data", "children", "rules", "id", "name", "subreddit", "display_name", "author", "edited"}
    | {"community_icon", "icon_img", "active_user_count", "accounts_active", "is_suspended"}
)
# numbers of every size, halves of surrogate pairs, NaN: what decoders of JSON let through
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just(10**400))
ANYTHING = st.recursive(
    st.one_of(_LEAVES, st.text(st.characters(), max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(_KEYS), st.text()), inner, max_size=5)
    ),
    max_leaves=8,
)
#: Objects that have the names they need, so that the rest of their fields is looked at.
NAMED = st.builds(
    lambda fields, names: {**fields, **names},
    st.dictionaries(st.sampled_from(_KEYS), ANYTHING, max_size=8),
    st.fixed_dictionaries(
        {"id": st.text(min_size=1), "subreddit": st.text(min_size=1), "title": st.text(), "author": st.text()},
        optional={"display_name": st.text(min_size=1), "name": st.text(min_size=1)},
    ),
)
LISTINGS = st.lists(st.one_of(NAMED, ANYTHING), max_size=4).map(lambda children: {"data": {"children": children}})


def fits(row: Any) -> bool:
    """Say whether each value is of the kind that its row declares."""
    for field, declared in typing.get_type_hints(type(row)).items():
        value, kinds = (
            getattr(row, field),
            typing.get_args(declared) if isinstance(declared, UnionType) else (declared,),
        )
        if type(value) not in kinds and not (value is None and NoneType in kinds):
            return False
    return True


def parsed(read: Callable[[], Any]) -> list[Any]:
    """Return the rows, none where the answer was bad."""
    try:
        found = read()
    except BadAnswer:
        return []
    return found if isinstance(found, list) else [found]


@given(st.one_of(ANYTHING, NAMED))
def test_any_subreddit(payload: Any) -> None:
    assert all(map(fits, parsed(lambda: subreddit(payload, NOW))))


@given(st.one_of(ANYTHING, NAMED))
def test_any_user(payload: Any) -> None:
    assert all(map(fits, parsed(lambda: user(payload, NOW))))


@given(st.one_of(ANYTHING, st.lists(ANYTHING, max_size=4).map(lambda found: {"rules": found})))
def test_any_rules(payload: Any) -> None:
    rows = parsed(lambda: rules(payload, "Bitcoin", NOW))
    assert all(map(fits, rows))
    assert [row.position for row in rows] == list(range(len(rows)))


@given(st.one_of(ANYTHING, LISTINGS))
def test_any_listing(payload: Any) -> None:
    rows = parsed(lambda: posts(payload, NOW).rows)
    assert all(map(fits, rows))
    people, places = authors(rows, 2), found_subreddits(rows)
    assert len(people) <= 2
    assert len({name.lower() for name in (*people, *places)}) <= len(people) + len(places)


@given(LISTINGS)
def test_every_child_becomes_a_post_or_is_counted(payload: Any) -> None:
    found = posts(payload, NOW)
    assert len(found.rows) + found.odd == len(payload["data"]["children"])


@given(LISTINGS)
def test_figures_of_any_posts(payload: Any) -> None:
    rows = posts(payload, NOW).rows
    for figure in post_figures(rows, NOW):
        assert figure is None or type(figure) is float
    for figure in author_figures([(row.created_utc, row.score, row.num_comments) for row in rows], NOW):
        assert figure is None or type(figure) is float


def test_the_states_are_plain_text() -> None:
    """A database driver may not know enums."""
    row = subreddit({"display_name": "A"}, NOW)
    assert type(row.state) is str
    assert not isinstance(row.state, enum.Enum)
