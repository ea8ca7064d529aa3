"""The process `changes` over real files, under a fake clock: what it reports, when it looks, and what it waits for."""

import json
from pathlib import Path

import jsonschema
import pytest

from core.reddit.request_errors import QuotaShort, RateLimited, RequestRejected, Unreachable
from core.spool import Batch, SpoolWriter
from core.status.changes_status import read_changes_status
from streams.record import make_record
from streams.reddit.listing_page import Item
from tests.streams.changes.small_reddit import Thing
from tests.streams.changes.stage import HOUR, Changer, Stage

STREAMS = ("submissions", "comments")
SCHEMA = json.loads((Path(__file__).parents[3] / "core/schemas/reddit.change.v1.json").read_text())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def _edit(thing: Thing) -> None:
    thing.text = "edited"


def _rise(thing: Thing) -> None:
    thing.score += 5


def _remove(thing: Thing) -> None:
    thing.state, thing.category = "removed", "moderator"


def _admin(thing: Thing) -> None:
    thing.state = "admin"


def _delete(thing: Thing) -> None:
    thing.state = "deleted"


def _account(thing: Thing) -> None:
    thing.state = "account"


def _vanish(thing: Thing) -> None:
    thing.state = "gone"


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    ("change", "op", "category", "tombstone"),
    [
        (_edit, "edit", None, False),
        (_rise, "score", None, False),
        (_remove, "removed", "moderator", True),
        (_admin, "removed", "admin", True),
        (_delete, "deleted", None, True),
        (_account, "deleted", "account", False),
        (_vanish, "gone", None, True),
    ],
)
def test_every_change_is_reported_once(
    stage: Stage, stream: str, change: Changer, op: str, category: str | None, *, tombstone: bool
) -> None:
    thing, quiet = stage.capture(stream, 2)
    stage.run(600)
    change(thing)
    stage.run(2 * HOUR)
    (event,) = stage.events()
    jsonschema.validate(event, SCHEMA)
    assert (event["fullname"], event["op"], event["category"]) == (thing.fullname, op, category)
    assert event["subreddit"] == "Bitcoin"
    assert HOUR <= event["age_s"] < HOUR + 900
    assert event["text"] == ("edited" if op == "edit" else None)
    (row,) = stage.latest_of(thing)
    assert (row.value == b"") is tombstone
    if not tombstone:
        record = json.loads(row.value)
        assert record["author"] == ("[deleted]" if category else "someone")
        assert (record["text"], record["score"]) == (thing.text, thing.score)
    thing.state, thing.text = "public", thing.text
    stage.run(30 * HOUR)
    away = tombstone or category == "account"
    assert stage.ops(thing) == [op, *(["restored"] if away else [])]
    assert stage.events(quiet) == []
    stage.run(30 * HOUR)
    assert stage.waiting() == 0, "after the last age nothing waits"
    assert stage.counters()["checked"] >= 6


def test_without_a_topic_of_newest_states_only_events_are_written(stage: Stage) -> None:
    stage.latest = False
    (thing,) = stage.capture("comments")
    thing.state = "deleted"
    stage.run(2 * HOUR)
    assert [row.schema for row in stage.rows()] == ["reddit.change.v1"]


def test_with_the_whole_payload_an_edit_without_another_text_is_noticed_and_the_newest_record_has_it(
    stage: Stage,
) -> None:
    stage.payload = "full"
    (thing,) = stage.capture("comments")
    thing.edited = stage.clock.now + 100
    stage.run(2 * HOUR)
    assert stage.ops(thing) == ["edit"]
    (row,) = stage.latest_of(thing)
    assert json.loads(row.value)["reddit"]["edited"] == thing.edited


def test_several_changes_at_one_look_are_several_events_and_one_record(stage: Stage) -> None:
    (thing,) = stage.capture("submissions")
    thing.text, thing.score, thing.state = "new", 9, "account"
    stage.run(2 * HOUR)
    assert stage.ops(thing) == ["deleted", "edit", "score"]
    assert len(stage.latest_of(thing)) == 1


def test_only_delivered_items_are_looked_at(stage: Stage) -> None:
    """A tombstone never precedes the record of its item."""
    things = stage.capture("comments", 2)
    stage.deliver("comments", seq=1)
    for thing in things:
        thing.state = "deleted"
    stage.run(2 * HOUR)
    assert stage.ops(things[0]) == ["deleted"]
    assert stage.events(things[1]) == []
    stage.deliver("comments")
    stage.run(2 * HOUR)
    assert stage.ops(things[1]) == ["deleted"], "its first look was overdue"


def test_an_item_that_was_captured_late_gets_the_remaining_looks(stage: Stage) -> None:
    now = stage.clock.now
    (old,) = stage.capture("comments", created=now - 30 * HOUR)
    (ancient,) = stage.capture("comments", created=now - 100 * HOUR)
    stage.run(1 * HOUR)
    assert stage.reddit.asked == []
    stage.run(18 * HOUR)
    assert [name for names in stage.reddit.asked for name in names if name == old.fullname] == [old.fullname]
    assert ancient.fullname not in {name for names in stage.reddit.asked for name in names}
    assert stage.counters()["rows_not_followed"] == 1


def test_several_overdue_looks_are_one_and_the_oldest_come_first(stage: Stage) -> None:
    first = stage.capture("comments", 3)
    stage.clock.advance(600)
    second = stage.capture("submissions", 3)
    stage.run(60)
    stage.clock.advance(30 * HOUR)  # it was stopped
    stage.run(600)
    names = [name for names in stage.reddit.asked for name in names]
    order = list(dict.fromkeys(names))
    assert order[:6] == [one.fullname for one in (*first, *second)]
    assert all(names.count(one.fullname) == 1 for one in second)
    assert stage.counters()["looks_skipped"] == 6
    assert stage.counters()["looks_late"] == 6


def test_a_request_asks_for_a_hundred_names_when_they_are_due(stage: Stage) -> None:
    stage.capture("comments", 250)
    stage.run(1.2 * HOUR)
    sizes = [len(names) for names in stage.reddit.asked]
    assert max(sizes) <= 100
    assert len(sizes) <= 5, sizes
    assert stage.counters()["checked"] == 250


def test_posts_come_before_comments_while_the_quota_is_short(stage: Stage) -> None:
    comments = stage.capture("comments", 150)
    posts = stage.capture("submissions", 150)
    asked = 0

    def short(_path: str, _params: object) -> None:
        nonlocal asked
        asked += 1
        if asked % 2:
            raise QuotaShort("the quota is reserved for the streams")

    stage.reddit.before = short
    stage.run(HOUR + 600)
    names = [name for names in stage.reddit.asked for name in names]
    assert {one.fullname for one in (*comments, *posts)} <= set(names)
    first_comment = next(place for place, name in enumerate(names) if name.startswith("t1_") and names.count(name) == 1)
    assert first_comment >= 150 - 100, "at most the first request, sent before the shortage, asks for comments"


def test_an_outage_delays_looks_and_loses_none(stage: Stage) -> None:
    things = stage.capture("comments", 20)
    stage.run(60)
    for thing in things:
        thing.score = 7
    down = iter([Unreachable("reset"), RateLimited(5.0), Unreachable("reset")] * 3)

    def fail(_path: str, _params: object) -> None:
        error = next(down, None)
        if error is not None:
            raise error

    stage.reddit.before = fail
    stage.run(4 * HOUR)
    assert sorted(one["fullname"] for one in stage.events()) == sorted(one.fullname for one in things)


def test_an_answer_without_any_of_the_names_proves_nothing(stage: Stage) -> None:
    (thing,) = stage.capture("comments")
    stage.reddit.loses = set
    stage.run(HOUR + 400)
    asked = len(stage.reddit.asked)
    assert asked >= 1
    assert stage.events() == []
    assert stage.counters()["looks_undecided"] == asked
    stage.reddit.loses = lambda _names: set()
    stage.run(HOUR)
    assert stage.events(thing) == []
    assert stage.counters()["checked"] >= 1


def test_a_private_subreddit_makes_nothing_gone(stage: Stage) -> None:
    (hidden,) = stage.capture("comments", subreddit="Secret")
    (quiet,) = stage.capture("comments", subreddit="Bitcoin")
    stage.reddit.closed.add("Secret")
    stage.run(20 * HOUR)
    assert stage.events() == []
    stage.reddit.closed.clear()
    stage.run(20 * HOUR)
    assert stage.events() == [], "it was never gone, so it is not restored"
    hidden.state = "gone"
    stage.run(30 * HOUR)
    assert stage.ops(hidden) == ["gone"]
    assert stage.events(quiet) == []


def test_an_item_whose_subreddit_stays_private_is_dropped_in_the_end(stage: Stage) -> None:
    stage.capture("comments", subreddit="Secret")
    stage.capture("comments", subreddit="Bitcoin")
    stage.reddit.closed.add("Secret")
    stage.run(110 * HOUR)
    assert stage.events() == []
    assert stage.waiting() == 0
    assert stage.counters()["looks_dropped"] == 1


def test_a_hiccup_is_no_disappearance(stage: Stage) -> None:
    first, _second = stage.capture("comments", 2)
    lost = {first.fullname}
    stage.reddit.loses = lambda _names: lost
    stage.run(HOUR + 100)
    lost = set()
    stage.run(2 * HOUR)
    assert stage.events() == []
    assert sum(first.fullname in names for names in stage.reddit.asked) >= 2, "it was confirmed early"


def test_items_that_were_not_asked_for_are_ignored_and_counted(stage: Stage) -> None:
    stage.capture("comments")
    stage.reddit.extra.append(Thing("comments", 0x99, "Bitcoin", stage.clock.now, score=77))
    stage.run(2 * HOUR)
    assert stage.events() == []
    assert stage.counters()["foreign_answers"] == 1


def test_a_name_that_makes_requests_fail_does_not_hold_up_others(stage: Stage) -> None:
    things = stage.capture("comments", 40)
    poison = things[7].fullname

    def refuse(_path: str, params: dict[str, str | int]) -> None:
        if poison in str(params.get("id", "")).split(","):
            raise RequestRejected(400, "Reddit answered 400")

    stage.reddit.before = refuse
    for thing in things:
        thing.score = 3
    stage.run(3 * HOUR)
    assert {one["fullname"] for one in stage.events()} == {one.fullname for one in things} - {poison}


def test_rows_of_other_programs_are_skipped_and_counted(stage: Stage) -> None:
    stage.store("comments", [Thing("comments", 1, "Bitcoin", stage.clock.now)], schema="other.v1")
    stage.deliver("comments")
    stage.run(2 * HOUR)
    assert stage.waiting() == 0
    assert stage.counters()["rows_not_followed"] == 1


def test_a_record_with_an_object_that_is_nested_too_deeply_is_followed(stage: Stage) -> None:
    thing = stage.reddit.add(Thing("comments", 1, "Bitcoin", stage.clock.now))
    item = Item(thing.fullname, thing.fullname, thing.subreddit, thing.created, thing.data())
    record = make_record(item, "comments", stage.clock.now)
    deep = b',"reddit":' + b'{"a":' * 2000 + b"1" + b"}" * 2001
    with SpoolWriter(stage.directory, "comments", clock=stage.clock) as writer:
        writer.commit(Batch([record._replace(value=record.value[:-1] + deep)]))
    stage.deliver("comments")
    thing.score = 5
    stage.run(2 * HOUR)
    assert stage.ops(thing) == ["score"]


def test_the_status_says_what_is_done_and_what_waits(stage: Stage) -> None:
    assert read_changes_status(stage.directory, STREAMS) is None
    things = stage.capture("comments", 5)
    stage.capture("submissions", 2)
    things[0].state = "removed"
    stage.run(HOUR / 2)
    status = read_changes_status(stage.directory, STREAMS)
    assert status is not None
    assert (status.duties, status.checked_total) == ({"submissions": 2, "comments": 5}, 0)
    assert (status.share_on_time, status.oldest_overdue_s(stage.clock.now)) == (None, 0.0)
    stage.run(HOUR)
    status = read_changes_status(stage.directory, STREAMS)
    assert status is not None
    assert status.checked == {"submissions": 2, "comments": 5}
    assert (status.changes["removed"], status.share_on_time, status.share_on_time_1h) == (1, 1.0, 1.0)
    stage.reddit.before = lambda _path, _params: (_ for _ in ()).throw(QuotaShort("short"))
    stage.clock.advance(22.6 * HOUR)
    stage.run(0.02 * HOUR)
    status = read_changes_status(stage.directory, STREAMS)
    assert status is not None
    assert status.overdue == 7
    assert status.oldest_overdue_s(stage.clock.now) > 0.05 * HOUR
    assert status.share_on_time == 0.5
    assert status.share_on_time_1h == 0.0
