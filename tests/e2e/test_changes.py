"""Later changes of delivered items arrive: each once, none that did not happen, and tombstones for what is lost."""

import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.e2e.stages import EVERYWHERE, EXACTLY_ONCE, on
from tests.support.topic import Record, read_topic
from tests.support.trial import Trial
from tests.support.waiting import wait_until

#: Looks every two seconds: a change that is made at any moment is found soon.
_AGES = list(range(2, 91, 2))

#: The changes that are requested, and how many items get each.
_CHANGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("edit", {"text": "edited later"}),
    ("score", {"score": 4321}),
    ("remove", {"by": "moderator"}),
    ("remove", {"by": "admin"}),
    ("remove", {"by": "automod_filtered"}),
    ("delete", {}),
    ("delete_account", {}),
    ("vanish", {}),
)
_LOST = {"removed", "deleted", "gone"}


class Changed:
    """A trial with the process `changes`, and what it reported."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.latest = f"{trial.topic}.latest"

    def start(self, **world: Any) -> None:
        trial = self.trial
        trial.prepare(
            environment={
                "GAPLESS_CHANGES__ENABLED": "true",
                "GAPLESS_CHANGES__SCHEDULE": str([float(age) for age in _AGES]),
                "GAPLESS_KAFKA__TOPICS__LATEST": self.latest,
            },
            backlog=0,
            comments_per_second=4,
            submissions_per_second=2,
            **world,
        )
        trial.system.names = (*trial.system.names, "changes")
        trial.system.start()
        trial.system.wait_up()

    def events(self) -> list[Record]:
        return read_topic(self.trial.broker.bootstrap_servers, f"{self.trial.topic}.changes")

    def change_some(self) -> dict[str, str]:
        """Change an item of each kind in each way; return what was requested, by fullname."""
        trial, asked = self.trial, {}
        wanted = 2 * len(_CHANGES)

        def fresh() -> dict[str, list[str]]:
            """Return the delivered items that have not been changed, by stream."""
            changed = {line["fullname"] for line in trial.simulator.changes()}
            names: dict[str, list[str]] = {"submissions": [], "comments": []}
            for record in trial.records():
                if record.key not in changed and record.value.get("text"):
                    names[record.stream].append(record.key)
            return names

        wait_until(lambda: all(len(names) >= wanted // 2 for names in fresh().values()), 60.0, "items to change")
        for names in fresh().values():
            for (op, details), name in zip(_CHANGES, reversed(names), strict=False):
                trial.simulator.change(op, name, **details)
                asked[name] = op
        return asked

    def expected(self) -> dict[str, list[tuple[str, str | None]]]:
        found: dict[str, list[tuple[str, str | None]]] = {}
        for line in self.trial.simulator.changes():
            found.setdefault(line["fullname"], []).append((line["op"], line.get("category")))
        return found

    def truth(self) -> dict[str, list[dict[str, Any]]]:
        """Return all changes of each item."""
        found: dict[str, list[dict[str, Any]]] = {}
        for line in self.trial.simulator.changes():
            found.setdefault(line["fullname"], []).append(line)
        return found

    def reported(self) -> dict[str, list[tuple[str, str | None]]]:
        found: dict[str, list[tuple[str, str | None]]] = {}
        for record in sorted(self.events(), key=lambda one: one.seq):
            found.setdefault(record.key, []).append((record.value["op"], record.value["category"]))
        return found

    def settled(self) -> bool:
        expected, reported = self.expected(), self.reported()
        return all(set(ops) <= set(reported.get(name, ())) for name, ops in expected.items())


@on(EVERYWHERE, soak=(EXACTLY_ONCE,))
def test_every_change_arrives_through_kills_and_an_outage(trial: Trial) -> None:
    changed = Changed(trial)
    changed.start()
    asked = changed.change_some()
    trial.system.kill_child("changes")
    trial.simulator.freeze(3)
    trial.system.kill_child("publisher")
    wait_until(changed.settled, 60.0, "all changes to arrive")
    for name, op in asked.items():
        if op in {"remove", "delete", "vanish"}:
            trial.simulator.change("restore", name)
    trial.system.kill_child("changes")
    wait_until(changed.settled, 60.0, "the restored items to arrive")
    assert trial.system.stop() == 0

    events = changed.events()
    if trial.delivery == "exactly_once":
        assert changed.reported() == changed.expected()
    else:
        assert {name: set(ops) for name, ops in changed.reported().items()} == {
            name: set(ops) for name, ops in changed.expected().items()
        }
    texts = {record.value["text"] for record in events if record.value["op"] == "edit"}
    assert texts == {"edited later"}
    latest = read_topic(trial.broker.bootstrap_servers, changed.latest)
    tombstones = Counter(record.key for record in latest if not record.value)
    lost = {name for name, ops in changed.expected().items() if any(op in _LOST and by != "account" for op, by in ops)}
    assert set(tombstones) == lost
    newest = {record.key: record.value for record in latest}
    assert all(newest[name] for name in asked), "what came back has a record again"
    trial.notes |= {"changes": len(events), "tombstones": len(tombstones), "kills": len(trial.system.kills)}


@on(soak=(EVERYWHERE,))
def test_looks_do_not_delay_the_capture_while_the_quota_is_short(trial: Trial, tmp_path: Path) -> None:
    """The same world twice, with and without later looks, on a quota that the streams nearly use up."""
    lags = []
    for enabled in (False, True):
        one = Trial(tmp_path / str(enabled), trial.broker, trial.delivery, trial.seed)
        (tmp_path / str(enabled)).mkdir()
        try:
            lags.append(_worst_lag(one, enabled=enabled))
        finally:
            one.end()
    assert lags[1] <= lags[0] + 1.0, lags
    trial.notes |= {"p99 lag without": round(lags[0], 2), "with": round(lags[1], 2)}


def _worst_lag(trial: Trial, *, enabled: bool) -> float:
    """Return how long after its appearance an item was captured: 99 of 100 were faster."""
    trial.prepare(
        reddit={"requests_per_minute": 70},
        environment={
            "GAPLESS_CHANGES__ENABLED": str(enabled).lower(),
            "GAPLESS_CHANGES__SCHEDULE": str([float(age) for age in _AGES]),
        },
        backlog=0,
        quota=700,
    )
    trial.system.start()
    trial.system.wait_up()
    trial.pass_time(10)
    began = time.time()
    trial.pass_time(40)
    surfaced = {one.fullname: at for one in trial.simulator.truth() if (at := one.surfaced_at) and at > began}
    lags = [
        datetime.fromisoformat(record.value["timestamp"]).timestamp() - at
        for record in trial.records()
        if (at := surfaced.get(record.key)) is not None
    ]
    assert len(lags) > 300
    return sorted(lags)[int(0.99 * len(lags))]


#: Two changes of an item that are this close may be found by one look, seconds; an outage makes looks rarer.
_APART_S = 12.0


@on(soak=(EXACTLY_ONCE,))
def test_random_changes_in_a_storm_of_kills(trial: Trial) -> None:
    """Whatever happens to items: no event that did not happen, none twice, and none lost that a look could find."""
    changed = Changed(trial)
    shares = {"edited_share": 0.4, "lost_posts_share": 0.4, "lost_comments_share": 0.4, "restored_share": 0.5}
    quota: dict[str, Any] = {"reddit": {"requests_per_minute": 900}, "quota": 9000}
    changed.start(**quota, **shares, change_seconds=(3, 50))
    end = time.monotonic() + 60
    while time.monotonic() < end:
        trial.pass_time(4)
        trial.system.kill_child(trial.random.choice(["changes", "changes", "publisher"]))
        if trial.random.random() < 0.2:
            trial.simulator.freeze(2)
    trial.simulator.pause()
    trial.pass_time(20)
    assert trial.system.stop() == 0

    truth, reported = changed.truth(), changed.reported()
    captured = {one.key: datetime.fromisoformat(one.value["timestamp"]).timestamp() for one in trial.records()}
    stopped = time.time()
    missing = []
    for name, lines in truth.items():
        happened = Counter((line["op"], line.get("category")) for line in lines)
        assert not Counter(reported.get(name, ())) - happened, (name, lines, reported[name])
        for before, line, after in zip([None, *lines], lines, [*lines[1:], None], strict=False):
            alone = all(other is None or abs(other["time"] - line["time"]) > _APART_S for other in (before, after))
            known = name in captured and captured[name] + 1 < line["time"] < stopped - 20
            if alone and known and (line["op"], line.get("category")) not in reported.get(name, ()):
                missing.append((name, lines, reported.get(name)))
    assert not missing, [(name, [(one["op"], round(one["age"], 1)) for one in lines]) for name, lines, _ in missing]
    assert set(reported) <= set(truth)
    found = sum(map(len, reported.values()))
    assert found > 50
    trial.notes |= {"changes": found, "happened": sum(map(len, truth.values())), "kills": len(trial.system.kills)}
