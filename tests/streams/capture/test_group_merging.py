"""Groups that were split become one again when a request for all their names is answered, without loss or doubles."""

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st

from streams.capture.group_merging import GroupMerging, Part
from tests.streams.capture.life import BIRTH, Life
from tests.streams.capture.test_isolation import missing, pour, stream
from tests.streams.capture.test_walk_property import _fast_directory
from tests.streams.capture.world import World
from tests.support.soaking import LONGER, examples

NAMES = tuple(f"Subreddit{number:02}" for number in range(16))

#: Splits sixteen names into four groups.
NARROW = 50


def test_the_first_try_comes_after_some_calm_and_each_further_one_later() -> None:
    regrouping = GroupMerging()
    assert regrouping.due == float("inf")
    for moment in (0.0, 2.0, 5.0):  # one cause
        regrouping.split(moment)
    assert regrouping.due == 300.0
    regrouping.refused(300.0)
    assert regrouping.due == 900.0
    regrouping.merged(900.0)
    assert regrouping.due == 910.0
    regrouping.split(1500.0)
    assert regrouping.due == 2700.0
    regrouping.split(90_000.0)
    assert regrouping.due == 90_300.0, "an old story is forgotten"


def test_only_neighbours_that_belong_together_are_merged_the_smallest_first() -> None:
    parts = [Part(7, 0, 8, 8), Part(3, 0, 0, 4), Part(4, 0, 4, 4), Part(5, 1, 16, 1), Part(6, 2, 17, 1)]
    regrouping = GroupMerging()
    assert regrouping.choose(parts) == (3, 4)
    regrouping.refused(0.0)
    regrouping.refused(0.0)
    assert regrouping.choose(parts) == (4, 7), "after a failure, others"
    assert regrouping.choose(parts[3:]) is None


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 9))
def test_mergers_end_with_one_group_of_all_names(sizes: list[int], failures: int) -> None:
    regrouping, parts, place = GroupMerging(), {}, 0
    for _ in range(failures):
        regrouping.refused(0.0)
    for key, size in enumerate(sizes):
        parts[key] = Part(key, 0, place, size)
        place += size
    while (chosen := regrouping.choose(parts.values())) is not None:
        one, two = (parts.pop(key) for key in chosen)
        assert one.place + one.size == two.place, "neighbours, in the order of the configuration"
        key = max([one.key, two.key, *parts]) + 1
        parts[key] = Part(key, 0, one.place, one.size + two.size)
    assert [part.size for part in parts.values()] == [sum(sizes)]


def groups_asked(life: Life, since: float, until: float) -> set[str]:
    """Return the names of the requests for several names between these moments, seconds from the beginning."""
    return {path.split("/")[2] for moment, path in life.asked if since < moment - BIRTH < until and "+" in path}


def narrow(life: Life, moments: list[tuple[float, int]]) -> None:
    """Change the longest path that the server takes, at these moments, seconds from now."""
    for seconds, limit in moments:
        life.clock.at(
            life.clock.now + seconds,
            lambda limit=limit: setattr(life.world, "path_limit", limit),  # type: ignore[misc]
        )


def test_groups_are_merged_when_the_cause_of_the_split_is_gone(tmp_path: Path) -> None:
    life = Life(tmp_path, World(NAMES, cap=1000, page_size=100, path_limit=NARROW))
    for name in NAMES:
        pour(life, name, 3, step=-1.0)
    for name in NAMES[::3]:
        stream(life, name, 700.0, 0.1)
    narrow(life, [(100.0, 100_000)])
    life.run(700.0)
    assert len(groups_asked(life, 80.0, 100.0)) >= 4
    assert groups_asked(life, 640.0, 700.0) == {"+".join(NAMES)}
    assert life.notes.events("groups_merged")[-1]["groups"] == 1
    assert missing(life) == []
    assert life.gaps() == []
    assert Counter(life.spooled()).most_common(1)[0][1] == 1
    assert len(life.spooled()) >= len(life.world.things) - 5


def test_groups_stay_split_at_few_requests_while_the_cause_lasts(tmp_path: Path) -> None:
    life = Life(tmp_path, World(NAMES, cap=1000, page_size=100, path_limit=NARROW))
    stream(life, NAMES[2], 300.0, 0.1)
    life.run(2600.0)
    refused = [path for _, path in life.asked if len(path.split("/")[2]) > NARROW]
    assert len(refused) <= 30
    assert 2 <= len(life.notes.events("groups_stay_split")) <= 4
    assert life.notes.events("groups_merged") == []
    assert missing(life) == []


moments = st.lists(st.tuples(st.floats(20.0, 300.0), st.sampled_from([NARROW, 90, 100_000])), max_size=3)


@LONGER
@settings(max_examples=examples(3, soak=16))
@given(moments=moments, rates=st.lists(st.sampled_from([0.0, 0.05, 0.2]), min_size=4, max_size=4), kill=st.booleans())
def test_names_that_move_between_groups_lose_and_repeat_nothing(
    moments: list[tuple[float, int]], rates: list[float], kill: bool
) -> None:
    with tempfile.TemporaryDirectory(dir=_fast_directory()) as directory:
        life = Life(Path(directory), World(NAMES, cap=400, page_size=100, path_limit=NARROW))
        for name, rate in zip(NAMES[::4], rates, strict=True):
            stream(life, name, 800.0, rate)
        narrow(life, moments)
        if kill:
            life.clock.at(life.clock.now + 500.0, lambda: life.kill(20.0))
        life.run(900.0)
        event(f"{len(life.notes.events('groups_merged'))} mergers")
        assert missing(life) == []
        assert life.gaps() == []
        assert len(life.spooled()) == len(set(life.spooled()))
        assert {name for name, thing in life.world.things.items() if thing.surfaced} <= set(life.spooled())
