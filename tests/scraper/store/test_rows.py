"""Rows go in as they are and come out as they were; the newest version wins, and people's columns are theirs."""

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from scraper.reddit.rows import Post, PostFigures, Rule, Subreddit, User
from scraper.store import Batch
from scraper.store.schema.tables import UtcDateTime, metadata
from tests.scraper.store.stage import NOON, Stage, a_post, a_rule, a_subreddit, a_user, later, play

BORN = datetime(2009, 1, 3, 18, 15, 5, tzinfo=UTC)

WHOLE_POST = Post(
    reddit_id="abc",
    subreddit_name="Bitcoin",
    author_username="Satoshi",
    title="Käufe “jetzt” 🚀 \\u0000 'quoted' \"twice\"",
    fetched_at=NOON,
    selftext="line\nline\ttab\x01\x7f",
    url="https://example.org/?a=1&b=%20",
    permalink="/r/Bitcoin/comments/abc/",
    domain="example.org",
    created_utc=BORN,
    edited_utc=BORN + timedelta(microseconds=1),
    score=-12,
    upvote_ratio=0.97,
    num_comments=2**40,
    num_crossposts=0,
    is_self=True,
    is_video=False,
    over_18=False,
    spoiler=True,
    stickied=False,
    locked=True,
    archived=False,
    distinguished="moderator",
    link_flair_text="",
    author_flair_text="  ",
    post_hint="link",
    total_awards_received=2**63 - 1,
)


async def _saved(stage: Stage, table: str) -> list[tuple[object, ...]]:
    """Read a table as SQLAlchemy's types read it."""
    known = metadata.tables[table]
    rows = await stage.query(f"SELECT * FROM {table} ORDER BY 1, 2")
    times = [at for at, column in enumerate(known.columns) if isinstance(column.type, UtcDateTime)]
    flags = [at for at, column in enumerate(known.columns) if column.type.python_type is bool]
    return [tuple(_read(value, at in times, at in flags) for at, value in enumerate(row)) for row in rows]


def _read(value: object, is_time: bool, is_flag: bool) -> object:
    if is_time and isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return bool(value) if is_flag and value is not None else value


def test_every_field_comes_out_as_it_went_in(stage: Stage) -> None:
    rich = a_subreddit(subscribers=8_000_000, created_utc=BORN, over18=False, lang="en", description="# h\n\n* x")
    person = a_user(created_utc=BORN, link_karma=-5, comment_karma=10, verified=True, icon_url="https://x/y.png")
    rule = a_rule(0, description="be nice", priority=0, kind="all", created_utc=BORN)

    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(
                Batch(subreddits=[rich], rules={"Bitcoin": [rule]}, posts=[WHOLE_POST, a_post("bare")], users=[person])
            )
        assert await _saved(stage, "reddit_posts") == [tuple(WHOLE_POST), tuple(a_post("bare"))]
        assert await _saved(stage, "reddit_users") == [tuple(person)]
        assert await _saved(stage, "reddit_rules") == [tuple(rule)]
        assert (await _saved(stage, "reddit_subreddits"))[0][: len(rich)] == tuple(rich)

    play(scenario)


@pytest.mark.parametrize(
    ("table", "row"), [(Subreddit, "subreddits"), (Post, "posts"), (User, "users"), (Rule, "rules")]
)
def test_the_columns_are_the_fields_in_their_order(table: type, row: str) -> None:
    """What migrations added stands at the end, so that made and migrated tables are the same."""
    fields = [name for name in table._fields if name != "moved_to"]  # type: ignore[attr-defined]
    columns = list(metadata.tables[f"reddit_{row}"].columns.keys())
    assert columns[: len(fields)] == fields
    assert set(table._fields) <= set(columns)  # type: ignore[attr-defined]


def test_an_older_row_never_replaces_a_newer_one(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            for at, word in ((10.0, "new"), (0.0, "old"), (10.0, "same moment")):
                await store.save(
                    Batch(
                        subreddits=[a_subreddit(at=later(at), title=word)],
                        posts=[a_post(at=later(at), title=word)],
                        users=[a_user(at=later(at), icon_url=word)],
                    )
                )
        assert await stage.query("SELECT title, fetched_at FROM reddit_posts") == (
            await stage.query("SELECT icon_url, fetched_at FROM reddit_users")
        )
        assert await stage.query("SELECT title FROM reddit_posts") == [("same moment",)]
        assert await stage.query("SELECT title FROM reddit_subreddits") == [("same moment",)]

    play(scenario)


def test_a_moment_without_fraction_is_older_than_one_with(stage: Stage) -> None:
    sharp = NOON.replace(microsecond=0)

    async def scenario() -> None:
        async with stage.open() as store:
            for at, title in ((sharp + timedelta(microseconds=1), "new"), (sharp, "old")):
                await store.save(Batch(posts=[a_post(at=at, title=title)]))
        assert await stage.query("SELECT title FROM reddit_posts") == [("new",)]

    play(scenario)


def test_of_two_versions_in_one_batch_the_newest_wins(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(
                Batch(
                    posts=[a_post(at=later(5), title="new"), a_post(title="old")],
                    users=[a_user("SATOSHI"), a_user("Satoshi", at=later(5)), a_user("satoshi")],
                )
            )
        assert await stage.query("SELECT title FROM reddit_posts") == [("new",)]
        assert await stage.query("SELECT username FROM reddit_users") == [("Satoshi",)]

    play(scenario)


def test_names_are_one_without_regard_to_case_and_the_newest_spelling_wins(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(
                Batch(subreddits=[a_subreddit("bitcoin")], rules={"bitcoin": [a_rule(0)]}, users=[a_user("satoshi")])
            )
            await store.save(Batch(subreddits=[a_subreddit("Bitcoin")], users=[a_user("Satoshi")]))
        assert await stage.query("SELECT name FROM reddit_subreddits") == [("Bitcoin",)]
        assert await stage.query("SELECT subreddit_name FROM reddit_rules") == [("Bitcoin",)], "the rules go along"
        assert await stage.query("SELECT username FROM reddit_users") == [("Satoshi",)]

    play(scenario)


def test_what_belongs_to_people_survives_every_save(stage: Stage) -> None:
    theirs = "SELECT review, primary_category, tags FROM reddit_subreddits"

    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(subreddits=[a_subreddit()]))
            await stage.query(
                "UPDATE reddit_subreddits SET review = 'posts_only', primary_category = 'coins', tags = 'a,b'"
            )
            await store.save(
                Batch(
                    subreddits=[a_subreddit("bitcoin", at=later(9), title="new")],
                    missing=[("Bitcoin", later(8))],
                    post_figures={"BITCOIN": PostFigures(1.0)},
                )
            )
            assert await stage.query(theirs) == [("posts_only", "coins", "a,b")]
            await store.save(Batch(missing=[("Bitcoin", later(10))]))
        assert await stage.query(theirs) == [("posts_only", "coins", "a,b")]
        assert await stage.query("SELECT title, state FROM reddit_subreddits") == [("new", "missing")]

    play(scenario)


def test_a_row_that_a_person_entered_is_filled_in(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await stage.query("INSERT INTO reddit_subreddits (name, review) VALUES ('bitcoin', 'posts_only')")
            assert (await store.counts(max_depth=1, refresh_after=60)).subreddits == 0, "nothing was fetched yet"
            await store.save(Batch(subreddits=[a_subreddit()]))
        rows = await stage.query("SELECT name, state, title, review FROM reddit_subreddits")
        assert rows == [("Bitcoin", "open", "about Bitcoin", "posts_only")]

    play(scenario)


def test_what_was_known_stays_when_it_can_no_longer_be_read(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(
                Batch(subreddits=[a_subreddit(subscribers=7)], users=[a_user(comment_karma=3, created_utc=BORN)])
            )
            gone = [Subreddit("bitcoin", "private", later(5)), Subreddit("Banned1", "banned", later(5))]
            await store.save(Batch(subreddits=gone, users=[User("satoshi", "suspended", later(5))]))
        facts = await stage.query("SELECT name, state, subscribers FROM reddit_subreddits ORDER BY name DESC")
        assert facts == [("Bitcoin", "private", 7), ("Banned1", "banned", None)]
        assert await stage.query("SELECT username, state, comment_karma FROM reddit_users") == [
            ("Satoshi", "suspended", 3)
        ]

    play(scenario)


def test_open_again_brings_all_facts_also_those_that_are_empty_now(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(subreddits=[a_subreddit(subscribers=7)]))
            await store.save(Batch(subreddits=[a_subreddit(at=later(1), subscribers=None)]))
        assert await stage.query("SELECT subscribers FROM reddit_subreddits") == [(None,)]

    play(scenario)


def test_nothing_is_made_up_for_what_does_not_exist(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(missing=[("nowhere", NOON)]))
        assert await stage.query("SELECT * FROM reddit_subreddits") == []

    play(scenario)


def test_the_order_in_which_versions_arrive_does_not_matter(stage: Stage) -> None:
    """Twenty posts in six versions each, shuffled into batches of all sizes: the newest of each is what stays."""
    chance = random.Random(20261121)
    versions = [a_post(f"p{post}", later(age), title=f"v{age}") for post in range(20) for age in range(6)]

    async def scenario() -> None:
        async with stage.open() as store:
            for _ in range(3):
                chance.shuffle(versions)
                at = 0
                while at < len(versions):
                    size = chance.choice((1, 7, 8, 9, 63, 64, 65))
                    await store.save(Batch(posts=versions[at : at + size]))
                    at += size
        assert await stage.query("SELECT DISTINCT title, count(*) FROM reddit_posts GROUP BY title") == [("v5", 20)]

    play(scenario)


def test_times_compare_with_the_databases_own_clock(stage: Stage) -> None:
    """People ask for the last day's posts with the functions that their database gives them."""
    now = datetime.now(UTC)
    fresh, old = (
        a_post("fresh", created_utc=now - timedelta(hours=1)),
        a_post("old", created_utc=now - timedelta(days=2)),
    )
    ago = "datetime('now', '-1 day')" if stage.is_sqlite else "now() - interval '1 day'"

    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(posts=[fresh, old]))
        assert await stage.query(f"SELECT reddit_id FROM reddit_posts WHERE created_utc > {ago}") == [("fresh",)]

    play(scenario)


def test_a_time_of_another_zone_is_stored_as_the_same_moment(stage: Stage) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))

    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(posts=[a_post("a", at=elsewhere), a_post("b", at=NOON)]))
        assert len(await stage.query("SELECT DISTINCT fetched_at FROM reddit_posts")) == 1

    play(scenario)


def test_what_never_changes_of_a_post_is_corrected_by_a_newer_answer(stage: Stage) -> None:
    """A field of an odd type in the first answer must not stay for good; a newer answer without it takes nothing."""
    wrong = a_post("a", created_utc=None), a_post("b", created_utc=datetime(1970, 1, 1, tzinfo=UTC))
    right = [a_post(name, created_utc=BORN, fetched_at=later(1)) for name in ("a", "b")]
    older = [a_post(name, created_utc=NOON, fetched_at=NOON) for name in ("a", "b")]
    empty = [a_post(name, created_utc=None, fetched_at=later(2)) for name in ("a", "b")]

    async def scenario() -> None:
        async with stage.open() as store:
            for rows in (wrong, right, older, empty):
                await store.save(Batch(posts=list(rows)))
        at = Post._fields.index("created_utc")
        assert [row[at] for row in await _saved(stage, "reddit_posts")] == [BORN, BORN]

    play(scenario)
