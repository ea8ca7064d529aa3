"""The five calls of a subreddit."""

import asyncio
from datetime import UTC, datetime

import pytest

from core.errors import PermanentError
from core.reddit.request_errors import BadAnswer, CredentialsRejected, ServerTrouble, Unavailable
from scraper.crawl import parts
from scraper.crawl.answer_rate import AnswerRate
from scraper.crawl.parts import Fetched, fetch_parts
from tests.scraper.crawl.reddit import ScriptedReddit, listing, post

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def fetched(reddit: ScriptedReddit, wanted: tuple[str, ...] = parts.ALL) -> Fetched:
    answer_rate = AnswerRate(reddit, ("Bitcoin",), lambda: NOW)
    return asyncio.run(fetch_parts(reddit, "Bitcoin", wanted, lambda: NOW, answer_rate))


@pytest.fixture
def reddit() -> ScriptedReddit:
    reddit = ScriptedReddit()
    reddit.subreddit(
        "Bitcoin", post("a", "Bitcoin"), week=listing(post("b", "Bitcoin")), year=listing(post("c", "Bitcoin"))
    )
    return reddit


def test_all_five_are_under_way_at_once_and_sorted_by_what_they_are(reddit: ScriptedReddit) -> None:
    arrived = fetched(reddit)
    assert reddit.most_at_once == 5
    assert arrived.subreddit is not None
    assert arrived.subreddit.name == "Bitcoin"
    assert [rule.short_name for rule in arrived.rules or ()] == ["be kind"]
    assert {part: [one.reddit_id for one in rows] for part, rows in arrived.listings.items()} == {
        "hot": ["a"], "week": ["b"], "year": ["c"],
    }  # fmt: skip
    assert arrived.missing_parts == ()


def test_a_failed_part_leaves_the_others_standing(reddit: ScriptedReddit) -> None:
    reddit.answers["/r/Bitcoin/hot"] = ServerTrouble("503")
    reddit.answers["/r/Bitcoin/top week"] = {"what": "is this"}
    arrived = fetched(reddit)
    assert arrived.missing_parts == ("hot", "week")
    assert isinstance(arrived.failures["week"], BadAnswer)
    assert [one.reddit_id for one in arrived.posts] == ["c"]
    assert arrived.rules is not None


def test_a_refusal_is_a_fact_and_not_asked_for_again(reddit: ScriptedReddit) -> None:
    reddit.answers["/r/Bitcoin/about/rules"] = Unavailable("forbidden")
    arrived = fetched(reddit)
    assert arrived.refusals == {"rules": "forbidden"}
    assert arrived.missing_parts == ()


def test_only_what_is_wanted_is_asked_for(reddit: ScriptedReddit) -> None:
    fetched(reddit, ("year",))
    assert list(reddit.asked) == ["/r/Bitcoin/top year"]


def test_what_no_turn_can_mend_is_raised(reddit: ScriptedReddit) -> None:
    reddit.answers["/r/Bitcoin/hot"] = CredentialsRejected("no such client")
    with pytest.raises(PermanentError):
        fetched(reddit)


def test_what_stands_among_the_posts_and_is_none_is_counted(reddit: ScriptedReddit) -> None:
    reddit.answers["/r/Bitcoin/hot"] = listing(post("a", "Bitcoin"), {"kind": "t1", "data": {"id": "x"}})
    arrived = fetched(reddit)
    assert arrived.odd == 1
    assert len(arrived.listings["hot"]) == 1
