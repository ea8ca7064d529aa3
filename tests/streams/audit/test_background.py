"""The audit against the simulator's truth: what listings hide is found, captured once, and recorded in the ledger."""

from collections import Counter
from pathlib import Path

import pytest

from core.spool import Batch, GapState
from core.spool.model import AUDIT_FOUND
from core.status.audit_store import read_audit_counters
from simulator.crawl.things import State
from tests.streams.audit.stage import BIRTH, SUBREDDITS, Stage, outcomes, settings


def test_nothing_is_missing_where_nothing_is_hidden(tmp_path: Path) -> None:
    stage = Stage(tmp_path, settings())
    stage.run(2400.0)
    for name in ("comments", "submissions"):
        stage.audit(stage.runner(name), 40)
        counts = outcomes(stage.observed(name))
        assert counts.keys() == {"found"}, name
        assert counts["found"] >= 60, name
        sizes = Counter((one.source, one.cluster) for one in stage.observed(name))
        largest = {source: max(size for (of, _), size in sizes.items() if of == source) for source, _ in sizes}
        own, most = ("trees", 4) if name == "comments" else ("ids", 1)
        assert largest.keys() == {own, "listing"}
        assert largest[own] <= most, "one draw is one cluster"
        assert largest["listing"] <= 10
        assert stage.streams[name].gaps() == []


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("comments", {"share": 0.1}),
        ("comments", {"share": 1.0, "from": BIRTH + 900, "minutes": 10}),
        ("submissions", {"share": 0.1}),
        ("submissions", {"share": 1.0, "from": BIRTH + 900, "minutes": 10}),
    ],
    ids=["comments scattered", "comments of ten minutes", "posts scattered", "posts of ten minutes"],
)
def test_hidden_items_are_found_and_captured_once(tmp_path: Path, kind: str, rule: dict[str, float]) -> None:
    """They are in no listing: only trees and ids show them."""
    stage = Stage(tmp_path, settings(hide=({"kind": kind, **rule},)))
    stage.run(2700.0)
    hidden = {item.fullname: item for item in stage.hidden(kind)}
    stream = stage.streams[kind]
    before = dict(stream.rows())
    assert hidden
    assert not hidden.keys() & before.keys()
    stage.audit(stage.runner(kind), 40)

    counts = outcomes(stage.observed(kind))
    assert set(counts) == {"found", "missing"}
    keys = [key for key, _ in stream.rows()]
    assert len(keys) == len(set(keys)), "nothing is captured twice"
    caught = set(keys) - before.keys()
    assert caught
    assert caught <= hidden.keys(), "nothing else counts as missing"
    entries = stream.gaps()
    assert {(gap.reason, gap.state) for gap in entries} == {(AUDIT_FOUND, GapState.LOST)}
    assert sum(gap.found for gap in entries) == len(caught)
    for name in caught:
        created = int(hidden[name].created)
        assert any(gap.is_of_late_items and (gap.late_from or 0) <= created <= (gap.end or 0) for gap in entries)
    assert stream.writer.counters()["audit_captured"] == len(caught)
    assert read_audit_counters(tmp_path, kind)["audit_missing"] == counts["missing"]
    assert stream.context.announced == stream.writer.last_seq()
    assert stage.notes.events("audit_found_missing")

    stage.audit(stage.runner(kind, seed=2), 30)
    keys = [key for key, _ in stream.rows()]
    assert len(keys) == len(set(keys))
    later = stage.names(kind, "missing")[counts["missing"] :]
    assert not caught & set(later), "what was captured counts as found"


def test_what_only_the_combined_listing_hides_is_found_in_the_own_one(tmp_path: Path) -> None:
    hide = {"kind": "submissions", "share": 0.2, "listings": "combined"}
    stage = Stage(tmp_path, settings(hide=(hide,), random_id_kinds=("submissions",)))
    stage.run(2400.0)
    stage.audit(stage.runner("submissions"), 40)
    observed = stage.observed("submissions")
    assert {one.source for one in observed} == {"listing"}, "ids are random"
    assert outcomes(observed)["missing"] > 0
    (unused,) = stage.notes.events("audit_source_unused")
    assert unused["source"] == "ids"
    assert "not sequential" in unused["why"]


def test_what_was_removed_before_it_was_listed_is_told_apart(tmp_path: Path) -> None:
    """Such items are not captured: their content is gone."""
    stage = Stage(tmp_path, settings(removed_share=0.3, removed_seconds=(0.0, 1.0)))
    stage.run(2400.0)
    before = len(stage.streams["submissions"].rows())
    stage.audit(stage.runner("submissions"), 40)
    counts = outcomes(stage.observed("submissions"))
    assert set(counts) == {"found", "removed_first"}
    assert 0.1 < counts["removed_first"] / sum(counts.values()) < 0.6
    assert len(stage.streams["submissions"].rows()) == before


def test_what_a_gap_admits_is_counted_apart(tmp_path: Path) -> None:
    """The ledger says that these ten minutes are not proven."""
    stage = Stage(tmp_path, settings(hide=({"kind": "submissions", "from": BIRTH + 600, "minutes": 10},)))
    stage.run(600.0)
    stream = stage.streams["submissions"]
    gaps = stream.coverage.new_gaps(SUBREDDITS, BIRTH + 1200, "nobody looked", repairable=False)
    stream.coverage.apply(Batch(gaps=gaps))
    stage.run(1500.0)
    captured, entries = len(stream.rows()), len(stream.gaps())
    stage.audit(stage.runner("submissions"), 40)
    assert set(outcomes(stage.observed("submissions"))) == {"found", "missing_in_gap"}
    inside = set(stage.names("submissions", "missing_in_gap"))
    assert inside <= {item.fullname for item in stage.hidden("submissions")}
    assert len(stream.rows()) == captured + len(inside), "they are captured as well"
    assert len(stream.gaps()) == entries, "the ledger has them already"


def test_kills_make_nothing_seem_missing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, settings())
    for _ in range(8):
        stage.run(300.0)
        stage.restart("comments")
        stage.restart("submissions")
    for name in ("comments", "submissions"):
        stage.audit(stage.runner(name), 30)
        assert outcomes(stage.observed(name)).keys() == {"found"}


def test_two_finders_capture_an_item_once(tmp_path: Path) -> None:
    """The command and the background audit find the same items; a killed stream reads their files again."""
    stage = Stage(tmp_path, settings(hide=({"kind": "comments", "share": 0.2},)))
    stage.run(2400.0)
    command, background = stage.runner("comments", 3), stage.runner("comments", 3)
    for _ in range(30):
        command.step()
        background.step()
        stage.clock.advance(5.0)
    stream = stage.restart("comments")
    stage.audit(command, 5)
    stage.audit(background, 5)
    stream.finds.step()
    keys = [key for key, _ in stream.rows()]
    assert len(keys) == len(set(keys))
    missing = [one for one in stage.observed("comments") if one.outcome == "missing"]
    assert missing
    hidden = {item.fullname for item in stage.hidden("comments")}
    assert stream.writer.counters()["audit_captured"] == len(hidden & set(keys))


@pytest.mark.parametrize("kind", ["submissions", "comments"])
def test_whatever_became_of_an_item_only_hidden_ones_are_missing(tmp_path: Path, kind: str) -> None:
    """Items are edited, removed by anybody, deleted, gone, or without their author; a subreddit became private."""
    stage = Stage(tmp_path, settings(hide=({"kind": kind, "share": 0.3},)))
    stage.run(2400.0)
    hidden = {item.fullname for item in stage.hidden(kind)}
    changes, now = stage.simulation.changes, stage.clock.now
    served: set[str] = set()
    for number, item in enumerate(item for item in stage.simulation.world.truth() if item.kind == kind):
        match number % 7:
            case 0:
                changes.delete_account(item, now)
            case 1:
                changes.score(item, now, 99)
            case 2:
                changes.remove(item, now, "moderator")
            case 3:
                changes.remove(item, now, "admin")
            case 4:
                changes.delete(item, now)
            case 5:
                changes.vanish(item, now)
        if number % 7 in (0, 1, 6):
            served.add(item.fullname)
    stage.simulation.world.set_state("Beta", State.PRIVATE, now)
    before = len(stage.streams[kind].rows())
    stage.audit(stage.runner(kind), 60)
    missing, removed = set(stage.names(kind, "missing")), set(stage.names(kind, "removed_first"))
    assert missing
    assert missing <= hidden & served
    assert removed <= hidden - served
    found = stage.streams[kind].rows()[before:]
    assert {key for key, _ in found} <= hidden & served
    assert all(content["text"] not in ("[removed]", "[deleted]") for _, content in found)
