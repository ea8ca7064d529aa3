"""Which children a change of the configuration concerns: only those."""

from dataclasses import replace
from typing import Any

import pytest

from core.config import Config, Proxy
from supervisor.processes.config_change import Change, change
from supervisor.runtime import topology

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
        ("kafka", {"topic": "another"}, {"publisher"}),
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
