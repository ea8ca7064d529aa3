"""Lines of twenty years become records, on the fast path or with care, and both give the same."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.sources.dump_record import BadLine, DumpParser, DumpRecord, Skipped, Wanted, candidates
from tests.streams.sources.dumps import NOW, comment

SCHEMAS = Path(__file__).parents[3] / "core" / "schemas"
POST = {
    "id": "p1", "name": "t3_p1", "subreddit": "Bitcoin", "author": "ann", "title": "A title", "selftext": "",
    "created_utc": 1_420_070_400, "score": 3, "url": "/r/x", "is_self": False, "num_comments": 2, "over_18": False,
    "permalink": "/r/Bitcoin/comments/p1/a/", "link_flair_text": None,
}  # fmt: skip


def parse(item: object, stream: str = "comments", wanted: Wanted | None = None, *, full: bool = True) -> Any:
    line = item if isinstance(item, bytes) else json.dumps(item).encode()
    found = DumpParser(stream, full=full, wanted=wanted or Wanted(), now=NOW).parse(line)
    return orjson.loads(found.value) if isinstance(found, DumpRecord) else found


OLD = [
    {"created_utc": "1420070401"},
    {"name": None},
    {"permalink": None},
    {"score": None},
    {"score": "12"},
    {"score": 2**70},
    {"author": None},
    {"author": {"name": "x"}},
    {"edited": 1420070500.0},
    {"_meta": {"was_deleted_later": True}, "retrieved_on": 1_500_000_000},
    {"retrieved_utc": "soon"},
    {"body_html": "<p>"},
    {"body": "half \ud83d of a pair"},
    {"body": "whole \ud83d\ude00"},
    {"created_utc": None},
    {"created_utc": 12},
    {"parent_id": 5},
    {"replies": {"data": {"children": [comment(1)]}}},
]


@pytest.mark.parametrize("fields", OLD, ids=",".join)
@pytest.mark.parametrize("full", [True, False])
def test_each_shape_gives_a_record_of_the_schema_on_both_paths(
    fields: dict[str, Any], full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = {key: value for key, value in comment(1, **fields).items() if not (key in fields and value is None)}
    nulls = comment(1, **fields)
    for one in (item, nulls):
        record = parse(one, full=full)
        jsonschema.validate(record, json.loads((SCHEMAS / "reddit.comment.v1.json").read_text()))
        assert (record["fullname"], record["source"]) == ("t1_c1", "archive")
        assert record["permalink"].endswith("/c1/")
        assert ("reddit" in record) is full
        with monkeypatch.context() as patch:
            patch.setattr(DumpParser, "parse", lambda parser, line: parser.parse_carefully(line))
            assert parse(one, full=full) == record


@settings(max_examples=40)
@given(st.fixed_dictionaries({}, optional={
    name: st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([])
    for name in POST
}))  # fmt: skip
def test_odd_fields_of_a_post_never_raise_and_both_paths_agree(fields: dict[str, Any]) -> None:
    line = json.dumps({**POST, **fields}).encode()
    parser = DumpParser("submissions", full=True, wanted=Wanted(), now=NOW)
    fast, careful = parser.parse(line), parser.parse_carefully(line)
    assert type(fast) is type(careful)
    if isinstance(fast, DumpRecord) and isinstance(careful, DumpRecord):
        assert (fast.key, orjson.loads(fast.value)) == (careful.key, orjson.loads(careful.value))


def test_the_time_is_that_of_the_archive_where_it_is_known() -> None:
    assert parse(comment(1, retrieved_on=1_500_000_000))["timestamp"] == "2017-07-14T02:40:00.000+00:00"
    assert parse(comment(1))["timestamp"] == "2023-11-14T22:13:20.000+00:00"


BAD = {
    b'{"id": "c1", ': "not JSON",
    b"\xff\xfe{}": "not UTF-8",
    json.dumps(comment(1)).encode().replace(b"text 1", b"\xe9t\xe9"): "not UTF-8",
    b"[1]": "not an object",
    b"{}": "without `id`",
    b'{"id": "x"}': "no post and no comment",
    b'{"a":' * 3000 + b"1" + b"}" * 3000: "",
}


@pytest.mark.parametrize("line", BAD, ids=lambda line: line[:8].decode(errors="replace"))
def test_what_is_no_item_is_a_bad_line_with_a_reason(line: bytes) -> None:
    found = parse(line)
    assert isinstance(found, BadLine)
    assert BAD[line] in found.reason


def test_an_item_of_another_kind_is_not_published_as_this_one() -> None:
    assert parse(POST) is Skipped.OTHER_KIND
    assert parse(comment(1), "submissions") is Skipped.OTHER_KIND
    assert parse({**POST, "name": None}, "submissions")["fullname"] == "t3_p1"


def test_filters() -> None:
    def takes(**choice: Any) -> bool:
        return isinstance(parse(comment(1), wanted=Wanted(**choice)), dict)

    created = float(comment(1)["created_utc"])
    assert takes(subreddits=frozenset({"bitcoin", "x"}), authors=frozenset({"ANN"}), since=created, until=created + 1)
    assert not takes(subreddits=frozenset({"x"}))
    assert not takes(authors=frozenset({"x"}))
    assert not takes(since=created + 1)
    assert not takes(until=created)
    assert parse(comment(1, created_utc=None), wanted=Wanted(since=1.0)) is Skipped.FILTERED


@pytest.mark.parametrize("more", [0, 20])
def test_the_scan_finds_every_line_that_may_match(more: int) -> None:
    names = frozenset({b"bitcoin", *(b"n%d" % number for number in range(more))})
    lines = [
        json.dumps(comment(1)).encode(),
        json.dumps(comment(2, subreddit="other", crosspost_parent_list=[{"subreddit": "BITCOIN"}])).encode(),
        json.dumps(comment(3, subreddit="other")).encode(),
        b"",
        json.dumps(comment(4, subreddit="bitcoin"), separators=(",", ":")).encode(),
    ]
    data = b"\n".join(lines) + b"\n"
    found = list(candidates(data, names))
    assert [line for _, line in found] == [lines[0], lines[1], lines[4]]
    assert all(data[offset:].startswith(line) for offset, line in found)
