"""Which children a reloaded configuration replaces, and what happens to the running ones: by tables of events."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from core.config import Config, Proxy
from core.config.sections import TopicsSection
from core.errors import ExitCode
from supervisor.processes.child_spec import ChildSpec
from supervisor.processes.reload import Change, WantedChildren, change
from supervisor.processes.restart_policy import State
from supervisor.runtime import topology
from tests.supervisor.scripted import Event, World, sink, source

FAMILY = [sink(), source("submissions"), source("comments")]
READY: list[Event] = [(0.1, "says", name, ("ready",)) for name in ("publisher", "submissions", "comments")]
END: Event = (60.0, "rings", "SIGTERM", None)


def reload_at(moment: float, *specs: ChildSpec, timeout: float = 10.0) -> Event:
    return (moment, "reloads", "", WantedChildren(specs, timeout, float("inf")))


def diary(world: World, name: str, until: float = 60.0) -> list[tuple[float, str]]:
    return [(moment, what) for moment, what, who in world.diary if who == name and moment < until]


def run(script: Sequence[Event], **stop_takes: float | None) -> tuple[World, ExitCode]:
    world = World([*READY, *script], dict(stop_takes))
    return world, world.manager(FAMILY).run()


def test_who_is_not_wanted_any_more_stops_and_is_forgotten_and_who_is_new_starts() -> None:
    world = World([*READY, reload_at(5.0, *FAMILY[:2], source("scraper-a")), END], {"comments": 2.0})
    manager = world.manager(FAMILY)
    assert manager.run() is ExitCode.OK
    assert diary(world, "comments") == [(0.0, "start"), (5.0, "stop")]
    assert diary(world, "scraper-a") == [(5.0, "start")]
    assert diary(world, "submissions") == [(0.0, "start")]
    assert "comments" not in manager.children


def test_a_wrong_file_changes_nothing() -> None:
    world, _ = run([(5.0, "reloads", "", None), END])
    assert all(diary(world, spec.name) == [(0.0, "start")] for spec in FAMILY)


def test_who_is_wanted_again_before_it_has_gone_comes_back_once_it_has() -> None:
    world, _ = run([reload_at(5.0, *FAMILY[:2]), reload_at(6.0, *FAMILY), END], comments=2.0)
    assert diary(world, "comments") == [(0.0, "start"), (5.0, "stop"), (7.0, "start")]


def test_reloads_while_it_is_being_replaced_replace_it_once_by_what_was_wanted_last() -> None:
    world = World([*READY], {"comments": 2.0})
    for number, moment in enumerate((5.0, 5.5, 6.0)):
        world.script.append(reload_at(moment, *FAMILY[:2], source("comments", arguments=(number,))))
    world.script.append(END)
    manager = world.manager(FAMILY)
    manager.run()
    assert diary(world, "comments") == [(0.0, "start"), (5.0, "stop"), (7.0, "start")]
    assert manager.children["comments"].spec.arguments == (2,)


def test_a_parked_child_starts_with_the_configuration_that_concerns_it() -> None:
    fatal: Event = (1.0, "says", "comments", ("fatal", "set REDDIT_CLIENT_ID", "credentials"))
    changed = source("comments", arguments=("another id",))
    world, _ = run([fatal, (1.0, "ends", "comments", 78), reload_at(9.0, *FAMILY[:2], changed), END])
    assert diary(world, "comments") == [(0.0, "start"), (9.0, "start")]


def test_the_new_deadline_counts_at_once() -> None:
    world, code = run([reload_at(5.0, *FAMILY, timeout=4.0), (10.0, "rings", "SIGTERM", None)], comments=None)
    assert code is ExitCode.KILLED
    assert world.now <= 14.0


def test_who_was_dismissed_and_has_to_be_killed_in_a_stop_shows_in_the_exit_code() -> None:
    world = World([*READY, reload_at(5.0, *FAMILY[:2]), (6.0, "rings", "SIGTERM", None)], {"comments": None})
    manager = world.manager(FAMILY)
    assert manager.run() is ExitCode.KILLED
    assert ("kill", "comments") in [entry[1:] for entry in world.diary]
    assert manager.children["comments"].restart_state.state is State.EXITED


def test_once_everything_stops_a_reload_changes_nothing() -> None:
    world, code = run([(5.0, "rings", "SIGTERM", None), reload_at(5.0, *FAMILY, source("scraper-a"))])
    assert code is ExitCode.OK
    assert not diary(world, "scraper-a")


PROXIES = (Proxy("a", "http://127.0.0.1:1"), Proxy("b", "http://127.0.0.1:2"))
BASE = replace(Config(), scraper=replace(Config().scraper, proxies=PROXIES))
STREAMS, SCRAPERS = {"submissions", "comments"}, {"scraper-a", "scraper-b"}


def difference(**sections: dict[str, Any]) -> Change:
    """Compare the topology of BASE with that of BASE with these sections changed."""
    changed = {name: replace(getattr(BASE, name), **keys) for name, keys in sections.items()}
    before = {spec.name: spec for spec in topology.topology(BASE)}
    return change(before, topology.topology(replace(BASE, **changed)))


def replaced(difference: Change) -> set[str]:
    assert not difference.removed
    assert not difference.added
    return {spec.name for spec in difference.replaced} - {"monitor"}  # it shows everything, so everything concerns it


def test_nothing_changed_concerns_nobody() -> None:
    assert difference() == Change()


@pytest.mark.parametrize(
    ("section", "keys", "whom"),
    [
        ("reddit", {"subreddits": ("Bitcoin",)}, STREAMS),
        ("reddit", {"client_secret": "another"}, STREAMS | SCRAPERS),
        ("streams", {"max_poll_interval": 5.0}, STREAMS),
        ("streams", {"comments": ("Bitcoin",)}, {"comments"}),
        ("kafka", {"topic": "another"}, {"publisher"}),
        ("kafka", {"topics": TopicsSection(latest="newest")}, {"publisher"}),
        ("scraper", {"max_depth": 3}, SCRAPERS),
        ("database", {"url": "sqlite:///another.db"}, SCRAPERS),
        ("scraper", {"proxies": (PROXIES[0], Proxy("b", "http://127.0.0.1:3"))}, {"scraper-b"}),
        ("supervisor", {"log_max_bytes": 5000}, STREAMS | SCRAPERS | {"publisher"}),
        ("supervisor", {"log_format": "json"}, set()),  # children write JSON, whatever the terminal shows
        ("supervisor", {"shutdown_timeout": 5.0}, set()),
        ("supervisor", {"stats_interval": 5.0}, set()),
    ],
)
def test_a_change_replaces_those_who_rest_on_it(section: str, keys: dict[str, Any], whom: set[str]) -> None:
    assert replaced(difference(**{section: keys})) == whom


def test_who_is_switched_off_goes_and_who_is_new_comes() -> None:
    gone = difference(streams={"comments": False})
    assert gone.removed == ("comments",)
    names = {spec.name for spec in gone.replaced} - {"monitor"}
    assert names == {"submissions"}, "it shares the quota with the other stream, which is gone"
    assert {spec.name for spec in difference(streams={"submissions": False}).replaced} == {"comments", "monitor"}
    more = difference(scraper={"proxies": (*PROXIES, Proxy("c", "http://127.0.0.1:3"))})
    assert [spec.name for spec in more.added] == ["scraper-c"]
    assert difference(scraper={"enabled": False}).removed == ("scraper-a", "scraper-b")
