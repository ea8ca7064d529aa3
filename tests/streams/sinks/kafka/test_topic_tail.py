"""What the newest records of a topic prove: whose they are, and up to when each walk was surely finished."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from core.spool.predecessor import DeliveredSpan, TopicEnds
from streams.sinks.kafka.topic_tail import TopicItem, ends, read_item

NOW = 1_700_000_000.0


def headers(stream: str = "comments", schema: str = "reddit.comment.v1") -> list[tuple[str, bytes | None]]:
    return [("schema", schema.encode()), ("stream", stream.encode()), ("seq", b"7")]


def value(**fields: Any) -> bytes:
    at = datetime.fromtimestamp(NOW - 5, UTC).isoformat(timespec="milliseconds")
    return orjson.dumps(
        {"subreddit": "Bitcoin", "created_utc": int(NOW - 9), "timestamp": at, "source": "reddit", **fields}
    )


def page(captured: float, newest: float, count: int, subreddit: str = "bitcoin") -> list[TopicItem]:
    """A page as it is captured: at one moment, one item a second."""
    return [TopicItem("comments", subreddit, newest - number, captured) for number in range(count)]


def newest(items: list[TopicItem], now: float = NOW, subreddit: str = "bitcoin") -> float | None:
    return ends(items, now)["comments"].subreddits[subreddit].newest


def test_a_record_of_ours() -> None:
    assert read_item(headers(), value()) == TopicItem("comments", "bitcoin", NOW - 9, NOW - 5)
    assert read_item(headers(), value(source="reddit", created_utc=None)) == TopicItem(
        "comments", "bitcoin", None, NOW - 5
    )


@pytest.mark.parametrize(
    ("named", "content"),
    [
        ([], value()),
        (headers("orders"), value()),
        (headers("submissions"), value()),
        (headers(schema="acme.order.v3"), value()),
        ([("stream", None), ("schema", b"\xff")], value()),
        (headers(), None),
        (headers(), b""),
        (headers(), b"\xff\x00"),
        (headers(), b"[]"),
        (headers(), b"7"),
        (headers(), b"{}"),
        (headers(), value(source="archive")),
        (headers(), value(subreddit=None)),
        (headers(), value(timestamp="yesterday")),
        (headers(), value(timestamp=5)),
    ],
)
def test_what_no_stream_of_ours_has_captured(named: list[tuple[str, bytes | None]], content: bytes | None) -> None:
    assert read_item(named, content) is None


def polls(first: float, last: float, every: float, subreddit: str = "bitcoin") -> list[TopicItem]:
    """One item at each poll, five seconds old."""
    return [
        TopicItem("comments", subreddit, first + number * every - 5, first + number * every)
        for number in range(int((last - first) / every) + 1)
    ]


def test_each_stream_and_subreddit_has_its_own_newest_and_oldest_date() -> None:
    items = [
        *polls(NOW - 9000, NOW - 10, 10),
        *page(NOW - 8000, NOW - 8400, 1, "ethereum"),
        TopicItem("submissions", "bitcoin", NOW - 30, NOW - 20),
    ]
    found = ends(items, NOW)
    assert found["comments"].subreddits == {
        "bitcoin": DeliveredSpan(NOW - 3625, NOW - 9005),
        "ethereum": DeliveredSpan(NOW - 8400, NOW - 8400),
    }
    assert found["submissions"].subreddits == {"bitcoin": DeliveredSpan(None, NOW - 30)}, "the only record"
    assert ends([], NOW)["comments"] == TopicEnds()


@pytest.mark.parametrize(("size", "seconds"), [(100, 3), (100, 400), (25, 30), (6, 10), (1, 3), (1, 1)])
def test_the_upper_pages_of_a_walk_that_was_not_finished_prove_nothing(size: int, seconds: int) -> None:
    """The process died further down: what lies between is in no record."""
    began = NOW - 900 * seconds / size
    finished = polls(began - 9000, began - 10, 10)
    upper = [
        item
        for number in range(900 // size)
        for item in page(began + number * seconds, began - 1 - number * size, size)
    ]
    found = newest([*finished, *upper])
    assert found is not None
    assert found <= began - 15, "what was proven before the walk"
    refreshed = page(NOW, NOW - 1, 2)
    found = newest([*finished, *upper, *refreshed], NOW + 1)
    assert found is not None
    assert found <= began - 15, "the newest page was captured once more meanwhile"


@pytest.mark.parametrize("hours", [0.1, 2, 48])
def test_a_walk_that_waited_out_an_outage_is_not_finished(hours: float) -> None:
    finished = polls(NOW - 9000, NOW - 10, 10)
    upper = page(NOW, NOW - 1, 1)
    back = NOW + hours * 3600
    refreshed = page(back, back - 1, 3)
    found = newest([*finished, *upper, *refreshed], back)
    assert found is not None
    assert found <= NOW - 15


def test_where_the_records_do_not_reach_back_far_enough_no_date_is_sure_and_the_oldest_one_is_left() -> None:
    span = ends(page(NOW - 20, NOW - 21, 100), NOW)["comments"].subreddits["bitcoin"]
    assert span == DeliveredSpan(None, NOW - 120)


def test_a_date_in_the_future_says_nothing() -> None:
    odd = TopicItem("comments", "bitcoin", NOW + 86_400, NOW - 8000)
    assert newest([*polls(NOW - 9000, NOW - 10, 10), odd]) == NOW - 3625
    odd = odd._replace(captured=NOW - 5)
    assert ends([odd], NOW)["comments"].subreddits == {"bitcoin": DeliveredSpan()}


class TestStarts:
    """Where the gap of each configured subreddit begins."""

    FOUND = TopicEnds(
        {"bitcoin": DeliveredSpan(50.0, 20.0), "ethereum": DeliveredSpan(None, 30.0), "cats": DeliveredSpan(90.0, 1.0)}
    )

    def test_at_the_newest_delivered_item_else_at_the_oldest_one_of_ours(self) -> None:
        starts = self.FOUND.starts({"Bitcoin": False, "ethereum": False, "Quiet": False})
        assert starts == {"Bitcoin": 50.0, "ethereum": 20.0, "Quiet": 20.0}

    def test_records_of_others_are_none_of_ours(self) -> None:
        assert self.FOUND.starts({"Dogs": False, "Quiet": False}) == {}
        assert TopicEnds().starts({"Bitcoin": False, "all": True}) == {}

    def test_a_collective_listing_has_the_records_of_all(self) -> None:
        assert self.FOUND.starts({"all": True}) == {"all": 90.0}
        assert self.FOUND.starts({"all": True, "Quiet": False}) == {"all": 90.0, "Quiet": 1.0}

    def test_without_any_date_the_start_is_unknown(self) -> None:
        assert TopicEnds({"bitcoin": DeliveredSpan()}).starts({"Bitcoin": False, "b": False}) == {
            "Bitcoin": None,
            "b": None,
        }

    def test_it_comes_back_from_its_text(self) -> None:
        assert TopicEnds.from_json(self.FOUND.to_json()) == self.FOUND
