"""The crawl's ledger finds every difference between the required and the actual content of the database."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scraper.reddit import rows as product
from tests.support import crawl_columns as columns
from tests.support.crawl import Saved, compare, reckon
from tests.support.crawl_closure import Crawl, Expected, authors_of, expected
from tests.support.simulator import Simulator
from tests.support.tables import Tables

NOW = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)
SIMPLE = Crawl(seeds=["Alpha"])


class Fake:
    """A Reddit of a few lines: Alpha's posts are by ann and bob, who also post in Beta, Lost and a profile."""

    def __init__(self) -> None:
        self.subreddits = {name.lower(): _subreddit(name) for name in ("Alpha", "Beta", "Gamma", "Delta")}
        self.users = {name.lower(): _user(name) for name in ("Ann", "Bob", "Cid")}
        self.posts: dict[str, dict[str, Any]] = {}
        self.subreddits["alpha"]["hot"] = [
            self.write("Alpha", by) for by in ("[deleted]", "AutoModerator", "Ann", "Bob")
        ]
        self.subreddits["beta"]["hot"] = [self.write("Beta", "Cid")]
        self.users["ann"]["submitted"] = [self.write(name, "Ann") for name in ("Beta", "Lost", "u_Ann")]
        self.users["bob"]["submitted"] = [self.write("Gamma", "Bob")]
        self.users["cid"]["submitted"] = [self.write("Delta", "Cid")]

    def write(self, subreddit: str, author: str, **more: Any) -> str:
        bare = f"p{len(self.posts)}"
        self.posts[bare] = {
            "id": bare, "subreddit": subreddit, "author": author, "title": "T", "created_utc": 1.7e9, "edited": False,
            "score": 2 + len(self.posts), "num_comments": 1, "stickied": False,
        } | more  # fmt: skip
        return bare

    def held_of(self, *, subreddits: Sequence[str] = (), users: Sequence[str] = ()) -> list[dict[str, Any]]:
        lines = [self.subreddits.get(name.lower()) for name in subreddits]
        return [line for line in [*lines, *(self.users.get(name.lower()) for name in users)] if line]

    def posts_of(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        return [self.posts[one] for one in ids]


def _subreddit(name: str) -> dict[str, Any]:
    about = {"display_name": name, "name": f"t5_{name}", "created_utc": 1.5e9, "over18": False, "community_icon": ""}
    rules = [{"short_name": "be kind", "priority": 0, "created_utc": 1.6e9}]
    return {"name": name, "state": "public", "about": about, "rules": rules, "hot": [], "week": [], "year": []}


def _user(name: str) -> dict[str, Any]:
    about = {"name": name, "id": name, "created_utc": 1.4e9, "link_karma": 5, "comment_karma": 7}
    return {"name": name, "state": "active", "about": about, "submitted": []}


def reached(fake: Fake, **crawl: Any) -> tuple[set[str], set[str], set[str]]:
    rows = expected(fake, Crawl(**{"seeds": ["alpha"]} | crawl))
    return set(rows.subreddits), set(rows.users), set(rows.posts)


# -- required rows ------------------------------------------------------------------------------------------------


def test_a_step_leads_from_a_subreddit_over_its_authors_posts_to_others() -> None:
    fake = Fake()
    assert reached(fake, max_depth=0)[:2] == ({"alpha"}, {"ann", "bob"})
    assert reached(fake, max_depth=1)[:2] == ({"alpha", "beta", "gamma"}, {"ann", "bob", "cid"})
    assert reached(fake, max_depth=2)[0] == {"alpha", "beta", "gamma", "delta"}
    assert reached(fake, max_depth=2, discover=False)[0] == {"alpha"}
    assert reached(fake)[2] == set(fake.posts), "Delta's post is in Cid's list although Delta is too far"


def test_only_the_first_authors_count() -> None:
    assert reached(Fake(), users_per_subreddit=1)[1] == {"ann", "cid"}
    posts = [{"author": name} for name in ("Bob", "[deleted]", "BOB", None, "automoderator", "Ann", "Cid")]
    assert authors_of(posts, 2) == ["Bob", "Ann"]


def test_closed_subreddits_have_a_state_and_nothing_else_and_missing_ones_no_row() -> None:
    fake = Fake()
    fake.subreddits["beta"]["state"], fake.subreddits["gamma"]["state"] = "private", "missing"
    rows = expected(fake, SIMPLE)
    assert set(rows.subreddits) == {"alpha", "beta"}
    assert rows.subreddits["beta"] == {"state": "private"}
    assert set(rows.rules) == {("alpha", 0)}
    assert set(rows.users) == {"ann", "bob"}


def test_of_users_who_are_gone_the_state_remains() -> None:
    fake = Fake()
    fake.users["ann"] |= {"state": "missing", "about": None, "submitted": []}
    fake.users["bob"] |= {"state": "suspended", "about": {"name": "Bob", "is_suspended": True}, "submitted": []}
    rows = expected(fake, SIMPLE)
    assert rows.users["ann"] == {"username": "Ann", "state": "missing"}
    assert (rows.users["bob"]["state"], rows.users["bob"]["link_karma"]) == ("suspended", None)
    assert set(rows.subreddits) == {"alpha"}


def test_listings_end_at_their_limits() -> None:
    fake = Fake()
    for part in ("hot", "week", "year"):
        fake.subreddits["alpha"][part] = [fake.write("Alpha", "[deleted]") for _ in range(120)]
    assert len(expected(fake, SIMPLE).posts) == 30 + 10 + 100


def test_people_decide_by_their_review() -> None:
    assert reached(Fake(), reviews={"alpha": "posts_only"})[:2] == ({"alpha"}, set())
    assert reached(Fake(), reviews={"beta": "skip"})[0] == {"alpha", "gamma"}
    assert reached(Fake(), reviews={"beta": "good"})[0] == {"alpha", "beta", "gamma"}


# -- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "values"),
    [
        (product.Subreddit, columns.subreddit({"display_name": "A", "name": "t5_a"})),
        (product.Rule, columns.rule({}, "A", 0)),
        (product.Post, columns.post({"id": "a", "subreddit": "A"})),
        (product.User, columns.user({"name": "A"}, "active")),
    ],
)
def test_every_column_is_held_against_something(row: Any, values: dict[str, Any]) -> None:
    assert {*values, "fetched_at"} == set(row._fields)


@pytest.mark.parametrize(
    ("value", "good", "bad"),
    [
        (True, (1, True), (0, False, None, "1", 2)),
        (3, (3,), (4, None, "3", True)),
        (0.5, (0.5,), (0.25, "0.5", None)),
        (1.0, (1, 1.0), (2, None)),
        ("a", ("a",), ("b", None, "", b"a")),
        (None, (None,), (0, "", False)),
        (NOW, (NOW, "2026-01-02 03:04:05.600000", "2026-01-02T03:04:05.6+00:00"), (None, 1.0, "2026-01-02 03:04:05")),
    ],
)
def test_values_are_compared_as_databases_write_them(value: Any, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    assert [columns.same(value, saved) for saved in good] == [True] * len(good)
    assert [columns.same(value, saved) for saved in bad] == [False] * len(bad)


def test_times_that_never_were_are_none() -> None:
    assert [columns.moment(seconds) for seconds in (False, True, None)] == [None] * 3
    assert columns.moment(0) == datetime(1970, 1, 1, tzinfo=UTC)


# -- differences ----------------------------------------------------------------------------------------------------


def perfect(rows: Expected) -> Saved:
    """Return exactly the required rows."""
    figures = {
        "figures_at": NOW, "score_mean": 4.5, "score_median": 4.5, "comments_per_upvote": 4 / 18,
        "posts_per_day": 4 / ((NOW.timestamp() - 1.7e9) / 86_400), "comment_karma_p10": 7.0, "post_karma_p10": 5.0,
        "account_age_days_p10": (NOW.timestamp() - 1.4e9) / 86_400,
    }  # fmt: skip
    return Saved(
        subreddits=[values | {"fetched_at": NOW} | figures for values in rows.subreddits.values()],
        rules=[values | {"fetched_at": NOW} for values in rows.rules.values()],
        posts=[values | {"fetched_at": NOW} for values in rows.posts.values()],
        users=[values | {"fetched_at": NOW} for values in rows.users.values()],
    )


NEAR = Crawl(seeds=["Alpha"], max_depth=0)


def found(damage: Callable[[Saved], object]) -> tuple[tuple[str, ...], ...]:
    fake = Fake()
    for number, post in enumerate(fake.posts.values()):
        post["score"] = 3 + number
    rows = expected(fake, NEAR)
    saved = perfect(rows)
    damage(saved)
    ledger = compare(rows, saved, NEAR)
    assert ledger.clean == (ledger.missing + ledger.wrong + ledger.doubled + ledger.unknown + ledger.figures == ())
    return ledger.missing, ledger.wrong, ledger.doubled, ledger.unknown, ledger.figures


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert found(lambda _: None) == ((), (), (), (), ())


def test_each_difference_is_found_and_told() -> None:
    assert found(lambda saved: saved.posts.pop(0))[0] == ("posts p0",)
    assert found(lambda saved: saved.posts[0].update(score=99))[1] == ("posts p0: score is 99 instead of 3",)
    assert found(lambda saved: saved.posts[0].pop("title"))[1] == ("posts p0: there is no title",)
    assert found(lambda saved: saved.users[0].update(fetched_at=None))[1] == ("users ann: fetched_at is None",)
    assert found(lambda saved: saved.users.append(saved.users[0] | {"username": "ANN"}))[2] == ("users ann: 2 rows",)
    assert found(lambda saved: saved.rules.append(saved.rules[0] | {"position": 1}))[3] == ("rules ('alpha', 1)",)
    assert found(lambda saved: saved.subreddits[0].update(score_mean=4.6)) == (
        (), (), (), (), ("r/Alpha score_mean is 4.6 instead of 4.5",)
    )  # fmt: skip


@pytest.mark.parametrize(
    "column", ["posts_per_day", "account_age_days_p10", "comment_karma_p10", "comments_per_upvote"]
)
def test_figures_that_are_not_there_or_off_are_found(column: str) -> None:
    assert len(found(lambda saved: saved.subreddits[0].update({column: None}))[4]) == 1
    assert len(found(lambda saved: saved.subreddits[0].update({column: saved.subreddits[0][column] * 1.01}))[4]) == 1


def test_a_row_entered_by_hand_is_nobodys_concern() -> None:
    crawl = Crawl(seeds=["Alpha"], max_depth=0, reviews={"omega": "skip"})
    rows = expected(Fake(), crawl)
    saved = perfect(rows)
    saved.subreddits.append({"name": "Omega", "review": "skip", "fetched_at": None})
    assert compare(rows, saved, crawl).unknown == ()


def test_the_summary_shows_a_few_of_each_kind() -> None:
    rows = expected(Fake(), NEAR)
    text = compare(rows, Saved([], [], [], []), NEAR).summary()
    assert text.startswith("saved 0 of 1 subreddits, 0 of 1 rules, 0 of 8 posts, 0 of 2 users; 12 missing, 0 wrong")
    assert "missing: … and 6 more" in text


# -- against the simulator -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    still: dict[str, Any] = {"comments_per_second": 0, "submissions_per_second": 0, "seed": 5}
    world: dict[str, Any] = {"crawl_subreddits": 12, "crawl_posts": 40, "crawl_authors": 5, "crawl_links": 3}
    running = Simulator(tmp_path_factory.mktemp("reddit"), subreddits=("Alpha", "Beta"), **still, **world)
    running.start()
    yield running
    running.stop()


def test_a_database_with_all_that_the_simulator_holds_is_clean(simulator: Simulator, tmp_path: Path) -> None:
    crawl = Crawl(seeds=["ALPHA"], users_per_subreddit=4, max_depth=2)
    rows = expected(simulator, crawl)
    assert len(rows.subreddits) > 8
    tables = Tables(f"sqlite:///{tmp_path / 'reddit.db'}")
    _write(tables, rows)
    ledger = reckon(simulator, crawl, tables)
    assert not ledger.missing + ledger.wrong + ledger.doubled + ledger.unknown, ledger.summary()
    assert ledger.held == ledger.saved
    tables.execute("DELETE FROM reddit_rules")
    assert len(reckon(simulator, crawl, tables).missing) == len(rows.rules)


def _write(tables: Tables, rows: Expected) -> None:
    """Write the required rows into a SQLite file."""
    saved = perfect(rows)
    names = ("reddit_subreddits", "reddit_rules", "reddit_posts", "reddit_users")
    with sqlite3.connect(tables.url.removeprefix("sqlite:///")) as connection:
        for name, table in zip(names, (saved.subreddits, saved.rules, saved.posts, saved.users), strict=True):
            keys = list(dict.fromkeys(itertools.chain.from_iterable(table)))
            connection.execute(f"CREATE TABLE {name} ({', '.join(keys)})")
            marks = ", ".join("?" for _ in keys)
            filled = [{**dict.fromkeys(keys), **row} for row in table]
            lines = [[str(value) if isinstance(value, datetime) else value for value in row.values()] for row in filled]
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", lines)
    connection.close()
