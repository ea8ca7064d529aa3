"""`payload = "full"`: a record holds the object as Reddit served it, from the bytes of its page to those in Kafka."""

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cluster import shards
from core.cluster.mailbox import Leftover
from core.record_value import own_fields, without_reddit
from core.reddit.json_body import decode
from core.reddit.json_text import clean
from core.spool import Batch, SpoolWriter
from streams.capture import leftovers
from streams.capture.coverage import Coverage
from streams.record import make_record
from streams.reddit.listing_page import PAGE_SIZE, parse_page
from streams.sinks.kafka.topic_tail import TopicItem, read_item
from tests.streams.capture.world import envelope
from tests.streams.publisher.stage import Stage
from tests.streams.test_record import MOMENT, SAMPLES, STREAMS, anything, validator

PREFIX = {"comments": "t1", "submissions": "t3"}


def full_value(data: dict[str, Any], stream: str) -> bytes:
    """Make the record of an object; check it against the schema, and against the record without `reddit`."""
    (item,) = parse_page(envelope([{"data": data}]), stream).items
    value, plain = (make_record(item, stream, MOMENT, full=full).value for full in (True, False))
    validator(stream).validate(json.loads(value))
    validator(stream).validate(json.loads(plain))
    assert without_reddit(value) == plain
    assert without_reddit(plain) is None
    assert own_fields(value) == own_fields(plain) == json.loads(plain)
    return value


def reddit_of(data: dict[str, Any], stream: str = "comments") -> Any:
    return json.loads(full_value(data, stream))["reddit"]


def page_of(body: str, stream: str = "comments") -> bytes:
    """Return the bytes of a page with one object, which is given as JSON."""
    child = f'{{"kind":"{PREFIX[stream]}","data":{body}}}'
    return f'{{"kind":"Listing","data":{{"after":null,"children":[{child}]}}}}'.encode()


def through(body: str) -> Any:
    """Return `reddit` of the record that is made from the bytes of a page."""
    (item,) = parse_page(decode(page_of(body)), "comments").items
    value = make_record(item, "comments", MOMENT, full=True).value
    assert own_fields(value)["fullname"] == "t1_a"
    value.decode()
    return json.loads(value)["reddit"]


@pytest.mark.parametrize("stream", STREAMS)
def test_it_is_all_but_the_html_copies_of_its_own_texts(stream: str) -> None:
    nested = {"body_html": "<p>", "selftext_html": "<p>", "x": [{"y_html": 1}]}
    data = {
        "name": f"{PREFIX[stream]}_a", "edited": 1700000001.0, "distinguished": None, "gallery_data": {"items": []},
        "body_html": "<p>", "selftext_html": None, "description_html": "x", "_html": 1,
        "html": 1, "body_html_": 2, "_html_x": 3, "media": nested, "crosspost_parent_list": [nested],
    }  # fmt: skip
    before = json.dumps(data)
    gone = ("body_html", "selftext_html", "description_html", "_html")
    assert reddit_of(data, stream) == {name: value for name, value in data.items() if name not in gone}
    assert json.dumps(data) == before, "the page itself stays as it was"


def test_its_fields_keep_their_order_and_their_types() -> None:
    body = '{"name":"t1_a","id":"a","subreddit":"B","score":1,"ratio":1.0,"created_utc":1700000000.0,"x":[1,true,null]}'
    (item,) = parse_page(decode(page_of(body)), "comments").items
    value = make_record(item, "comments", MOMENT, full=True).value
    assert value.endswith(b',"reddit":' + body.encode() + b"}")


DEEP = "[" * 900 + "]" * 900


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2**64),
        ("-9223372036854775809", -(2**63) - 1),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        (f'[{"9" * 40},-{"9" * 40} , {{"x": {"7" * 400}}}]', [int("9" * 40), -int("9" * 40), {"x": int("7" * 400)}]),
        ("9" * 4300, int("9" * 4300)),
        ("9" * 4301, None),
        ("-" + "9" * 5000, None),
        ("1.0", 1.0),
        ("1e300", 1e300),
        ("1e400", None),
        ("NaN", None),
        ("-Infinity", None),
        ('"\\ud83d\\ude80"', "🚀"),
        ('"\\ud800 half"', "\ufffd half"),
        ('{"\\udfff":"\\ud800"}', {"\ufffd": "\ufffd"}),
        ('"nul \\u0000 \\"quoted\\" \\\\"', 'nul \x00 "quoted" \\'),
        ('",\\"reddit\\":{"', ',"reddit":{'),
        ('{"a":1,"reddit":{"b":{}}}', {"a": 1, "reddit": {"b": {}}}),
        ('""', ""),
        ("{}", {}),
        (f'[12,{DEEP},"\\ud800",{{}},[],{{"x":{"8" * 30},"y":null}}]', None),
    ],
)
def test_whatever_json_can_hold(served: str, expected: object) -> None:
    """Also beside what only the standard parser reads, and what only the slow writer writes."""
    for more in ("", ',"\\ud800":"\\ud800"', f',"more":{"1" * 30}', f',"more":{"[" * 300 + "]" * 300}'):
        found = through(f'{{"name":"t1_a","odd":{served}{more}}}')
        assert found["name"] == "t1_a"
        if DEEP not in served:
            assert found["odd"] == expected
            assert type(found["odd"]) is type(expected)
        else:
            first, deep, *rest = found["odd"]
            assert json.dumps(deep) == DEEP
            assert [first, *rest] == [12, "\ufffd", {}, [], {"x": int("8" * 30), "y": None}]


def test_an_object_as_deep_as_the_parser_reads_it() -> None:
    for named in ('"name":"t1_a",', ""):
        deep = "[" * 1018 + "]" * 1018
        page = parse_page(decode(page_of(f'{{{named}"body":"x","deep":{deep}}}')), "comments")
        (record,) = (make_record(item, "comments", MOMENT, full=True) for item in page.items)
        assert deep.encode() in record.value
        assert own_fields(record.value)["text"] == "x"


def test_a_text_that_looks_like_the_object_is_left_alone() -> None:
    data = {"name": "t1_a", "body": '","reddit":{"', "author": ',"reddit":{', "link_id": 'x","reddit":{}}'}
    value = full_value(data, "comments")
    assert own_fields(value)["text"] == '","reddit":{"'
    inside = b'{"fullname":"x","other":{"a":1,"reddit":{}}}'
    assert without_reddit(inside) is None
    assert own_fields(inside) == json.loads(inside)


def plain(value: object) -> object:
    """Say what JSON in UTF-8 can hold of a value."""
    match value:
        case dict():
            return {clean(name): plain(one) for name, one in value.items()}
        case list():
            return [plain(one) for one in value]
        case str():
            return clean(value)
        case float() if not math.isfinite(value):
            return None
    return value


@pytest.mark.parametrize("stream", STREAMS)
@given(data=st.dictionaries(st.text(st.characters(exclude_characters="\n"), max_size=8), anything, min_size=1))
def test_whatever_reddit_sends_is_in_it(stream: str, data: dict[str, Any]) -> None:
    data = {name: value for name, value in data.items() if name != "name"} | {"x": 1, "y_html": 2}
    expected = {name: value for name, value in data.items() if not name.endswith("_html")}
    assert reddit_of(data, stream) == plain(expected)


def samples(stream: str) -> list[dict[str, Any]]:
    path = SAMPLES / f"{PREFIX[stream]}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no samples of real items at {path}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        things = [json.loads(line) for line in lines]
    return [thing.get("data", thing) for thing in things]


def without_html(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if not name.endswith("_html")}


@pytest.mark.parametrize("stream", STREAMS)
def test_every_real_sample_is_in_it_field_by_field(stream: str) -> None:
    fields = 0
    for data in samples(stream):
        (item,) = parse_page(envelope([{"data": data}]), stream).items
        record = json.loads(make_record(item, stream, MOMENT, full=True).value)
        validator(stream).validate(record)
        found, expected = record["reddit"], without_html(data)
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert json.dumps(found[name]) == json.dumps(value), name
            fields += 1
    assert fields > 10_000


@pytest.mark.parametrize("stream", STREAMS)
def test_every_real_sample_goes_from_its_page_over_the_spool_to_the_sink(stream: str, tmp_path: Path) -> None:
    served = {f"{PREFIX[stream]}_{data['id']}": data for data in samples(stream)}
    with SpoolWriter(tmp_path, stream) as writer:
        coverage = Coverage(writer, stream, {data["subreddit"] for data in served.values()}, full=True)
        for body in pages(served, stream):
            coverage.absorb(parse_page(decode(body), stream))
        writer.commit(Batch(cursor={"origin": "settled"}))  # else the topic is asked first
        stage = Stage(tmp_path)
        stage.step()
        while stage.sink.backlog():
            stage.producer.report([record.key for record in stage.producer.flying])
            stage.step()
        stage.close()
    sent = {record.key: json.loads(record.value)["reddit"] for record in stage.producer.sent}
    assert sent == {key: without_html(data) for key, data in served.items()}


def pages(things: dict[str, dict[str, Any]], stream: str) -> Iterator[bytes]:
    children = [{"kind": PREFIX[stream], "data": data} for data in things.values()]
    for start in range(0, len(children), PAGE_SIZE):
        yield json.dumps(envelope(children[start : start + PAGE_SIZE])).encode()


def test_who_reads_a_record_again_reads_its_own_fields_whatever_else_is_in_it() -> None:
    """Leftovers of another machine, the newest records of a topic, and the shard of a row."""
    body = f'{{"name":"t1_a","subreddit":"B","created_utc":1700000000,"x":{"9" * 400},"deep":{DEEP}}}'
    (item,) = parse_page(decode(page_of(body)), "comments").items
    record = make_record(item, "comments", MOMENT, full=True)
    assert leftovers.created_of(record.value) == shards.created_of(record.value) == 1700000000.0
    assert shards.subreddit_of(record.value) == "B"
    headers = [("schema", record.schema.encode()), ("stream", b"comments")]
    assert read_item(headers, record.value) == TopicItem("comments", "b", 1700000000.0, MOMENT)
    leftover = Leftover(0, 1, "b", *record)
    sorted_ = leftovers.sort([leftover], lambda _name: False, {}, frozenset({"b"}), MOMENT)
    assert sorted_.records == [record], "handed over as it was captured"
