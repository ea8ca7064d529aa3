"""Answers to later looks as no one should send them: nothing stops the process, and nothing false is reported."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from core.reddit.request_errors import BadAnswer, RateLimited, Unreachable
from tests.streams.changes.small_reddit import Thing
from tests.streams.changes.stage import HOUR, Stage

SCHEMA = json.loads((Path(__file__).parents[3] / "core/schemas/reddit.change.v1.json").read_text())
_HUGE = 10**30
_NUMBERS: tuple[Any, ...] = (_HUGE, -_HUGE, float("inf"), float("nan"), 1e300, 1.5, True)
_VALUES: tuple[Any, ...] = (*_NUMBERS, None, [], {}, "", "x", "12", "\ud800\x00", "y" * 70_000)
_FIELDS = (
    "author",
    "created_utc",
    "edited",
    "id",
    "num_comments",
    "permalink",
    "removed_by_category",
    "score",
    "selftext",
    "subreddit",
    "title",
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize("payload", ["record", "full"])
@pytest.mark.parametrize("key", _FIELDS)
def test_no_value_of_a_field_stops_the_looks(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, key: str, payload: str
) -> None:
    stage.payload, stage.schedule = payload, (HOUR, 1.5 * HOUR)
    things = stage.capture("submissions", len(_VALUES) + 1)
    plain, values = Thing.data, dict(zip([one.fullname for one in things], _VALUES, strict=False))

    def odd(thing: Thing) -> dict[str, Any]:
        data = plain(thing)
        return data | {key: values[thing.fullname]} if thing.fullname in values else data

    monkeypatch.setattr(Thing, "data", odd)
    for thing in things:
        thing.score += 1
    stage.run(2 * HOUR)
    events = stage.events()
    for event in events:
        jsonschema.validate(event, SCHEMA)
    told = [one["fullname"] for one in events if one["op"] == "score"]
    assert told.count(things[-1].fullname) == 1
    assert len(told) == len(set(told)), "the same score is reported once"
    if key not in {"score", "selftext"}:
        assert set(told) == {one.fullname for one in things}
    edits = [values.get(one["fullname"]) for one in events if one["op"] == "edit"]
    if key == "selftext":
        assert all(isinstance(value, str) for value in edits), "what is no text is no edit"
    elif key != "edited":
        assert edits == []
    assert stage.waiting() == (sum(not isinstance(value, str) for value in _VALUES) if key == "selftext" else 0)


def test_a_text_that_is_null_for_a_while_changes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (thing,) = stage.capture("comments")
    plain = Thing.data
    monkeypatch.setattr(Thing, "data", lambda one: plain(one) | {"body": None})
    stage.run(HOUR + 900)
    assert stage.counters()["looks_undecided"] >= 1
    monkeypatch.setattr(Thing, "data", plain)
    thing.text = "edited"
    stage.run(HOUR)
    assert [(one["op"], one["text"]) for one in stage.events()] == [("edit", "edited")]


def test_a_subreddit_that_closes_after_it_could_be_read_makes_nothing_gone(stage: Stage) -> None:
    """One item is gone; then the subreddit closes, and another item that was missed once is missing again."""
    stage.capture("comments", 2)
    (gone,) = stage.capture("comments", subreddit="Secret")
    stage.clock.advance(70)
    (hidden,) = stage.capture("comments", subreddit="Secret")
    gone.state = "gone"
    stage.reddit.loses = lambda _names: {hidden.fullname}
    stage.reddit.before = lambda _path, _params: stage.reddit.closed.add("Secret") if told() else None

    def told() -> list[str]:
        return stage.ops(gone)

    stage.run(1.5 * HOUR)
    assert told() == ["gone"]
    assert stage.ops(hidden) == []


def test_an_item_of_a_profile_can_be_gone(stage: Stage) -> None:
    (thing,) = stage.capture("submissions", subreddit="u_somebody")
    stage.capture("submissions")
    stage.reddit.kinds["u_somebody"] = "user"
    thing.state = "gone"
    stage.run(2 * HOUR)
    assert stage.ops(thing) == ["gone"]


@pytest.mark.parametrize("days", [3, 20])
def test_empty_answers_after_a_long_stop_lose_no_look(stage: Stage, days: int) -> None:
    """The first look comes when all ages have passed, and the first answers are empty."""
    things = stage.capture("comments", 150)
    stage.run(60)
    for thing in things:
        thing.state = "deleted"
    stage.clock.advance(days * 24 * HOUR)
    stage.reddit.loses = set
    stage.run(300)
    assert stage.events() == []
    stage.reddit.loses = lambda _names: set()
    stage.run(3 * HOUR)
    assert sorted(one["fullname"] for one in stage.events()) == sorted(one.fullname for one in things)


def test_html_and_a_storm_of_refusals_delay_looks_only(stage: Stage) -> None:
    things = stage.capture("comments", 120)
    for thing in things:
        thing.text = "edited"
    errors = iter([BadAnswer("HTML"), RateLimited(60.0), BadAnswer("HTML"), Unreachable("500")] * 5)

    def fail(_path: str, _params: object) -> None:
        error = next(errors, None)
        if error is not None:
            raise error

    stage.reddit.before = fail
    stage.run(3 * HOUR)
    assert sorted(one["fullname"] for one in stage.events()) == sorted(one.fullname for one in things)


def test_an_answer_with_items_twice_reports_them_once(stage: Stage) -> None:
    (thing,) = stage.capture("comments")
    thing.score = 9
    stage.reddit.extra = [thing, thing]
    stage.run(30 * HOUR)
    assert stage.ops(thing) == ["score"]


@pytest.mark.parametrize(
    "schedules",
    [
        ((HOUR, 48 * HOUR), (600.0, HOUR, 5 * HOUR)),
        ((600.0, 2 * HOUR), (HOUR, 24 * HOUR, 200 * HOUR)),
        ((24 * HOUR,), (60.0,)),
    ],
)
def test_a_schedule_that_changes_between_two_runs_loses_no_item(
    stage: Stage, schedules: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    before, after = schedules
    stage.schedule = before
    early = stage.capture("comments", 3)
    stage.run(1.5 * HOUR)
    stage.schedule = after
    late = stage.capture("submissions", 3)
    for thing in (*early, *late):
        thing.score = 9
    stage.run(max(before) + max(after))
    told = [one["fullname"] for one in stage.events()]
    assert sorted(told) == sorted(one.fullname for one in (*early, *late))
    assert stage.waiting() == 0
