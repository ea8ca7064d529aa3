"""Items that listings hide: by name or by rule, still in trees, and told by the truth."""

from typing import Any

import pytest

from simulator.hiding import HideError
from simulator.item import Hidden, Item, Kind
from tests.simulator.place import START, Place

COMBINED, OWN = "/r/Alpha+Beta/comments", "/r/Alpha/comments"


def hidden(place: Place) -> list[Item]:
    return [item for item in place.world.truth() if item.hidden is not None]


@pytest.mark.parametrize(
    ("listings", "combined", "own"),
    [(Hidden.ALL, False, False), (Hidden.COMBINED, False, True), (Hidden.OWN, True, False)],
)
@pytest.mark.parametrize("before", [True, False])
def test_hidden_items_are_missing_from_the_listings_named(
    listings: Hidden, combined: bool, own: bool, before: bool
) -> None:
    place = Place()
    neighbour = place.comment()
    rule = {"share": 1, "kind": "comments", "listings": listings, "from": START + 1}
    if before:
        place.simulation.hiding.add(rule, place.now)
    place.now += 2.0
    item = place.comment()
    if not before:
        assert place.listed(COMBINED) == place.listed(OWN) == [item.fullname, neighbour.fullname]
        place.simulation.hiding.add(rule, place.now)
    assert (item.fullname in place.listed(COMBINED), item.fullname in place.listed(OWN)) == (combined, own)
    assert neighbour.fullname in place.listed(COMBINED)
    assert neighbour.fullname in place.listed(OWN)
    assert list(place.info(item.fullname)) == [item.fullname]
    names = [child["data"]["name"] for child in place.get(f"/comments/{item.link[3:]}")[1]["data"]["children"]]
    assert item.fullname in names
    assert (item.truth()["hidden"], item.truth()["hidden_at"]) == (listings, START + 2.0)
    assert (item.surfaced_at is None) == (before and listings is Hidden.ALL)


def test_items_hidden_from_one_listing_after_another_are_in_neither() -> None:
    place = Place()
    item, other = place.comment(), place.comment()
    place.world.hide(item, Hidden.COMBINED, place.now)
    place.world.hide(item, Hidden.OWN, place.now)
    assert (item.hidden, place.listed(COMBINED), place.listed(OWN)) == (Hidden.ALL, [other.fullname], [other.fullname])


def test_a_share_of_the_items_is_hidden_here_and_there() -> None:
    place = Place(comments_per_second=20.0, hide=({"share": 0.1, "kind": "comments"},), submissions_per_second=1.0)
    place.advance(100.0)
    items = hidden(place)
    assert 120 < len(items) < 280
    assert {item.kind for item in items} == {Kind.COMMENTS}
    assert len({int(item.created) for item in items}) > 60


def test_whole_intervals_can_be_hidden() -> None:
    place = Place(comments_per_second=20.0, hide=({"share": 0.2, "cluster": 5, "minutes": 5},))
    place.advance(400.0)
    items = hidden(place)
    chosen = {int((item.created - START) // 5) for item in items}
    within = [item for item in place.world.truth() if int((item.created - START) // 5) in chosen]
    assert items == within
    assert 4 <= len(chosen) <= 22
    assert max(chosen) < 60


def test_a_rule_applies_to_its_interval_and_subreddit() -> None:
    place = Place(comments_per_second=20.0)
    place.advance(30.0)
    rule = place.simulation.hiding.add({"from": START + 10, "seconds": 5, "subreddit": "alpha"}, place.now)
    expected = [
        item for item in place.world.truth() if START + 10 <= item.created < START + 15 and item.subreddit == "Alpha"
    ]
    assert hidden(place) == expected != []
    assert rule.as_json()["until"] == START + 15
    place.simulation.hiding.clear()
    assert (hidden(place), place.simulation.hiding.rules) == (expected, [])


def test_hidden_items_do_not_push_others_out() -> None:
    place = Place(cap=3, hide=({"listings": "combined"},))
    made = [place.comment().fullname for _ in range(3)]
    assert place.listed(OWN) == made[::-1]
    place.simulation.hiding.clear()
    made += [place.comment().fullname for _ in range(2)]
    assert place.listed(OWN) == made[:1:-1]
    assert place.listed(COMBINED) == made[:2:-1]
    assert [item.fullname for item in place.world.truth() if item.fell_off_at is not None] == made[:2]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"shares": 1}, "known are share"),
        ({"share": 2}, "0 to 1"),
        ({"share": True}, "a number"),
        ({"kind": "posts"}, "submissions or comments"),
        ({"listings": "none"}, "combined, own or all"),
        ({"subreddit": 1}, "a name"),
    ],
)
def test_an_invalid_rule_is_refused_with_a_hint(given: dict[str, Any], hint: str) -> None:
    place = Place()
    with pytest.raises(HideError, match=hint):
        place.simulation.hiding.add(given, place.now)
    assert place.simulation.hiding.rules == []


@pytest.mark.parametrize(("kind", "posts", "comments"), [("comments", True, False), ("submissions", False, True)])
def test_ids_of_one_kind_can_be_random(kind: str, posts: bool, comments: bool) -> None:
    place = Place(sequential_ids=True, random_id_kinds=(kind,))
    names = {"t3": [place.post().fullname for _ in range(20)], "t1": [place.comment().fullname for _ in range(20)]}
    assert [names[prefix] == sorted(names[prefix]) for prefix in ("t3", "t1")] == [posts, comments]
