"""What is done quickly for ordinary items comes out as the slow way has it, whatever stands in a listing."""

import gzip
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.reddit.json_body import decode
from core.reddit.json_text import clean
from core.spool import Batch, Record, SpoolReader, SpoolWriter
from streams.capture.coverage import Coverage
from streams.record import make_record
from streams.reddit import listing_page
from streams.reddit.listing_page import Item, Page, parse_page
from tests.streams.capture.world import envelope
from tests.streams.test_record import MOMENT, SAMPLES, STREAMS
from tests.support.memory import memory_root

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(
        ["", "t1_abc", "t3_abc", "t5_x", "t1_\ud800", "1700000000", "12.5", "/r/a", "ätherium", "[deleted]"]
    ),
    st.sampled_from([0, 1.7e9, 1_700_000_000, 1e300, 2**63, -(2**63), 1104537600.0, 4102444800.0, float("nan")]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
KEYS = (
    "id", "name", "subreddit", "author", "body", "selftext", "score", "created_utc", "permalink", "title", "url",
    "num_comments", "over_18", "link_flair_text", "parent_id", "link_id", "is_self",
)  # fmt: skip
DATA = st.one_of(ODD, st.dictionaries(st.sampled_from(KEYS), ODD))
CHILDREN = st.lists(
    st.one_of(ODD, st.fixed_dictionaries({}, optional={"kind": st.sampled_from(["t1", "t3", "t5", 3]), "data": DATA})),
    max_size=5,
)


def samples(stream: str) -> Iterator[dict[str, Any]]:
    path = SAMPLES / f"{'t3' if stream == 'submissions' else 't1'}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def slowly_parsed(answer: dict[str, Any], stream: str) -> Page:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing_page, "_parse_plain", lambda _child, _kind: None)
        return parse_page(answer, stream)


def spelt(page: Page) -> str:
    """Spell a page out: nan is not equal to itself."""
    return repr(page)


def expected(item: Item, stream: str) -> dict[str, Any]:
    """Say what a record holds, field by field, without any haste."""
    data = item.data

    def text(name: str) -> str:
        value = data.get(name)
        return clean(value) if isinstance(value, str) else ""

    own: dict[str, Any] = {"parent_id": text("parent_id") or None, "link_id": text("link_id") or None}
    if stream == "submissions":
        flag = data.get("over_18")
        own = {
            "title": text("title"),
            "over_18": flag if isinstance(flag, bool) else None,
            "link_flair_text": text("link_flair_text") or None,
        }
    return {
        "content_id": text("id") or item.fullname.partition("_")[2],
        "content_type": stream.removesuffix("s"),
        "fullname": item.fullname,
        "subreddit": item.subreddit,
        "author": text("author") or "[deleted]",
        "text": text("selftext" if stream == "submissions" else "body"),
        "created_utc": None if item.created is None else math.floor(item.created),
        "permalink": text("permalink"),
        "source": "reddit",
        **own,
    }


def assert_same_as_the_slow_way(answer: dict[str, Any], stream: str) -> None:
    page = parse_page(answer, stream)
    assert spelt(page) == spelt(slowly_parsed(answer, stream))
    for item in page.items:
        value = json.loads(make_record(item, stream, MOMENT).value)
        wanted = expected(item, stream)
        assert {name: value[name] for name in wanted} == wanted
        for name in ("score", "num_comments"):
            given_number = item.data.get(name)
            if name in value and type(given_number) is int:
                assert value[name] == (given_number if -(2**63) <= given_number < 2**63 else None)


@pytest.mark.parametrize("stream", STREAMS)
@given(children=CHILDREN)
def test_odd_entries(stream: str, children: list[Any]) -> None:
    assert_same_as_the_slow_way(envelope(children), stream)


@pytest.mark.parametrize("stream", STREAMS)
def test_real_entries(stream: str) -> None:
    kind = "t3" if stream == "submissions" else "t1"
    things = [thing.get("data", thing) if "kind" in thing else thing for thing in samples(stream)]
    answer = decode(json.dumps(envelope([{"kind": kind, "data": thing} for thing in things])).encode())
    assert isinstance(answer, dict)
    assert_same_as_the_slow_way(answer, stream)
    assert parse_page(answer, stream).items, "an item was read"


def page_of(subreddits: list[str], first: int) -> Page:
    children = [
        {"kind": "t1", "data": {"name": f"t1_{first + place}", "subreddit": subreddit, "created_utc": 1.7e9}}
        for place, subreddit in enumerate(subreddits)
    ]
    return parse_page(envelope(children), "comments")


SUBREDDITS = st.lists(st.sampled_from(["Alpha", "beta", "Elsewhere"]), max_size=4)


@settings(max_examples=40)
@given(before=SUBREDDITS, now=SUBREDDITS, of=st.sampled_from([("Alpha",), ("Alpha", "Beta"), ("Beta",)]))
def test_names_that_are_proven_as_they_are_written(before: list[str], now: list[str], of: tuple[str, ...]) -> None:
    """One transaction that captures and proves leaves the same as one that captures and one that proves."""
    outcomes = []
    for together in (True, False):
        with (
            tempfile.TemporaryDirectory(dir=memory_root()) as directory,
            SpoolWriter(Path(directory), "comments") as writer,
        ):
            coverage = Coverage(writer, "comments", ("Alpha", "Beta"))
            coverage.absorb(page_of(before, 0))
            change = coverage.proof(of, 1.7e9)
            coverage.absorb(page_of(now, 100), change=change if together else None)
            if not together:
                coverage.apply(change)
            names = [f"t1_{number}" for number in (*range(4), *range(100, 104))]
            memory = [(coverage.names.known(name), coverage.names.proven(name)) for name in names]
            met = set(coverage.names.met_since(-1, ("Alpha", "Beta")))
            outcomes.append((memory, writer.load_seen(), met))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("count", [1, 24, 25, 26, 100, 113])
def test_records_keep_their_order_and_their_number_however_many_they_are(tmp_path: Path, count: int) -> None:
    with SpoolWriter(tmp_path, "comments", clock=lambda: 5.5) as writer:
        records = [Record(f"k{number}".encode(), f"v{number}".encode(), f"s{number}") for number in range(count)]
        assert writer.commit(Batch(records=records)) == count
        reader = SpoolReader.open(tmp_path, "comments")
        assert reader is not None
        rows = reader.read(0, 1000)
        moments = reader._connection.execute("SELECT DISTINCT captured_at FROM records").fetchall()  # noqa: SLF001
        reader.close()
    assert [row.seq for row in rows] == list(range(1, count + 1))
    assert [row[1:] for row in rows] == records
    assert moments == [(5.5,)]


@pytest.mark.parametrize("value", [1.5, None, {"ä": [1, True]}, ["\ud800"], 2**70, {"a": 2**64}])
def test_a_cursor_comes_back_as_it_was(tmp_path: Path, value: object) -> None:
    with SpoolWriter(tmp_path, "comments") as writer:
        writer.commit(Batch(cursor={"key": value, "other": 1}))
        assert writer.load_cursor() == {"origin": "unknown", "key": value, "other": 1}
