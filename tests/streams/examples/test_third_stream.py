"""A third stream is one entry in the table: it is captured, spooled, published and shown like the others."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from core.config import Config, SupervisorSection
from core.config.sections import StreamsSection
from core.config.slices import status_config
from core.errors import PermanentError
from core.spool import Batch, Record, SpoolWriter
from core.spool.stream_state import Origin, StateChange
from core.status.statistics_block import Meter, render
from core.status.stream_stats import read_flow
from core.status.system_status import read_status
from core.stream_kinds import StreamKind, kind_of, register, spool_names, stream_names
from streams.capture.coverage import Coverage
from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import PublisherStore
from streams.publisher.publisher_process import Publisher
from streams.record import make_record
from streams.reddit.listing_page import Item, listing_path, parse_page
from streams.sinks.base import RoundResult
from streams.sinks.spool_senders import SpoolSender, SpoolSenders
from supervisor.cli.gaps import show_gaps
from supervisor.runtime.topology import topology
from tests.streams.capture.world import envelope
from tests.streams.examples.json_lines import JsonLinesSink

NOON = 1_700_000_000.0
LOG = structlog.stdlib.get_logger("test")


def rising(item: Item, timestamp: str) -> dict[str, Any]:
    """Make the content of a record of our own stream."""
    return {"fullname": item.fullname, "timestamp": timestamp, "created_utc": item.created, "rank": item.data["rank"]}


RISING = StreamKind("rising", "reddit.rising.v1", "rising", "t3", f"{__name__}:rising")


@pytest.fixture
def kind() -> Iterator[StreamKind]:
    with register(RISING):
        yield RISING


def test_it_is_captured_spooled_published_and_shown(tmp_path: Path, kind: StreamKind) -> None:
    assert listing_path(["Bitcoin"], kind.name) == "/r/Bitcoin/rising"
    state_dir, out = tmp_path / "state", tmp_path / "out"
    out.mkdir()
    meter = Meter(state_dir)
    children = [
        {"kind": "t3", "data": {"name": f"t3_{n}", "subreddit": "Bitcoin", "created_utc": NOON - n, "rank": n}}
        for n in range(1, 4)
    ]
    with SpoolWriter(state_dir, kind.name) as spool:
        coverage = Coverage(spool, kind.name, ["Bitcoin"], clock=lambda: NOON)
        coverage.store(StateChange(begun=NOON, origin=Origin.SETTLED))
        page = parse_page(envelope(children), kind.name)
        assert coverage.absorb(page, change=coverage.proof(["Bitcoin"], NOON - 1, NOON)).delivered == 3
        writer = PositionWriter(lambda known: _store(state_dir, known), LOG, lambda: 0.0)
        sink = JsonLinesSink(out, state_dir=state_dir, writer=writer, log=LOG, clock=lambda: 0.0)
        publisher = Publisher([sink], writer)
        publisher.step()
        assert (publisher.step(), publisher.backlog()) == (RoundResult.IDLE, 0)
        publisher.close(0.0)
    assert [json.loads(line)["rank"] for line in sink.lines("rising")] == [3, 2, 1], "oldest first"

    flow = read_flow(state_dir, (), 100, NOON, ("Bitcoin",)).streams["rising"]
    assert (flow.captured, flow.published, flow.spooled) == (3, 3, 0)
    assert flow.proven_until is not None
    assert meter.read().processed["rising"] == 3
    assert "Rising processed:      3" in render(meter.read())
    config = Config(supervisor=SupervisorSection(state_dir=state_dir, log_dir=tmp_path / "logs"))
    assert read_status(status_config(config), NOON).document()["streams"]["rising"]["captured"] == 3
    assert "publisher" in [child.name for child in topology(config)]


def test_a_kind_that_is_not_in_the_table_is_a_clear_error() -> None:
    assert "rising" not in stream_names()
    for use in (kind_of, lambda name: parse_page(envelope([]), name), lambda name: listing_path(["Bitcoin"], name)):
        with pytest.raises(PermanentError, match="unknown kind of stream 'rising'"):
            use("rising")
    with pytest.raises(PermanentError, match="unknown kind of stream"):
        make_record(Item("t3_a", "t3_a", "Bitcoin", NOON, {}), "rising", NOON)


def test_a_kind_without_a_listing_has_records_of_its_own() -> None:
    with register(StreamKind("edits", "reddit.edit.v1", process="elsewhere:run")):
        assert kind_of("edits").schema_family == "reddit.edit."
        with pytest.raises(PermanentError, match="the stream edits reads no listing"):
            listing_path(["Bitcoin"], "edits")
    with pytest.raises(ValueError, match="already"), register(kind_of("comments")):
        pass


def test_a_spool_of_a_kind_without_a_listing_is_delivered_and_shown_as_no_stream(tmp_path: Path) -> None:
    meter = Meter(tmp_path)
    with SpoolWriter(tmp_path, "changes") as spool:
        spool.commit(Batch(records=[Record(b"t3_a", b"{}", "reddit.change.v1")]))
        writer = PositionWriter(lambda known: _store(tmp_path, known), LOG, lambda: 0.0)
        senders = SpoolSenders(
            "files", SpoolSender, state_dir=tmp_path, writer=writer, log=LOG, clock=iter(range(9)).__next__
        )
        senders.refresh()
        assert senders.backlog() == 1
        assert [len(rows) for _, rows in senders.take()] == [1], "no survey of the topic"
    assert "changes" in spool_names()
    assert "changes" not in stream_names()
    config = Config(supervisor=SupervisorSection(state_dir=tmp_path, log_dir=tmp_path / "logs"))
    assert list(read_status(status_config(config), NOON).document()["streams"]) == ["submissions", "comments"]
    assert list(read_flow(tmp_path, (), 100, NOON).streams) == []
    assert "hanges" not in render(meter.read())
    assert meter.read().queue_size == 0
    out = io.StringIO()
    show_gaps(config, NOON, as_json=True, out=out, err=io.StringIO())
    assert list(json.loads(out.getvalue())["proven_until"]) == ["submissions", "comments"]
    off = replace(config, streams=StreamsSection(submissions=False, comments=False))
    assert "publisher" in [child.name for child in topology(off)], "it delivers what is left"
    writer.close()


def test_every_stream_of_the_configuration_is_in_the_table() -> None:
    assert Config().streams.enabled == ("submissions", "comments") == stream_names()


def test_a_spool_of_an_unknown_kind_is_told_once_and_left_alone(tmp_path: Path) -> None:
    with register(RISING), SpoolWriter(tmp_path, "rising") as spool:
        spool.commit(Batch(records=[Record(b"t3_a", b"{}", "reddit.rising.v1")]))
    writer = PositionWriter(lambda known: _store(tmp_path, known), LOG, lambda: 0.0)
    moments = iter(range(100))
    senders = SpoolSenders(
        "files", SpoolSender, state_dir=tmp_path, writer=writer, log=LOG, clock=lambda: float(next(moments))
    )
    with capture_logs() as lines:
        for _ in range(3):
            senders.refresh()
    assert [line["stream"] for line in lines if line["event"] == "spool_of_unknown_kind"] == ["rising"]
    assert senders.backlog() == 0
    writer.close()


def _store(state_dir: Path, known: str | None) -> PublisherStore:
    return PublisherStore.open(state_dir, LOG, deployment_id=known, sinks=("files",))
