"""Tests the standing of each subreddit over all streams: the worst first, and found by a part of its name."""

import pytest

from core.spool import Gap, GapState
from core.status.completeness import StreamProof
from core.status.standings import Standings, StreamStanding, gap_rank

NOON = 1_800_000_000.0
MAX_AGE = 100.0
NAMES = ("Alpha", "beta", "Gamma", "delta", "Alphabet")
WELL = {name.lower(): NOON - 10.0 for name in NAMES}


def gap(*names: str, state: GapState = GapState.OPEN, end: float | None = NOON - 50, at: float = NOON) -> Gap:
    return Gap("comments", names, NOON - 90, end, "short", at, 1, (), names, 0, state)


def standings(*gaps: Gap, moments: dict[str, float] | None = None, absent: dict[str, str] | None = None) -> Standings:
    comments = StreamProof(NAMES, WELL | (moments or {}), gaps)
    streams = {
        "submissions": StreamStanding(StreamProof(NAMES, WELL)),
        "comments": StreamStanding(comments, absent or {}),
    }
    return Standings.of(streams, NOON, MAX_AGE)


def test_without_trouble_no_subreddit_is_the_worst() -> None:
    found = standings()
    assert found.worst(5) == []
    assert found.counts == {"all": 5, "behind": 0, "unavailable": 0, "open": 0, "lost": 0}
    assert len(found.worst(3, all_of_them=True)) == 3


def test_the_worst_are_behind_then_unavailable_then_in_gaps() -> None:
    found = standings(
        gap("Gamma"),
        gap("delta", state=GapState.LOST),
        gap("Alphabet", end=None),
        moments={"beta": NOON - 500, "alpha": NOON - 900},
    )
    assert [one.name for one in found.worst(9)] == ["Alpha", "beta", "Alphabet", "Gamma", "delta"]
    assert [one.name for one in found.worst(2)] == ["Alpha", "beta"]
    assert found.counts == {"all": 5, "behind": 2, "unavailable": 1, "open": 1, "lost": 1}
    assert found.worst(1)[0].age_s == 900.0


def test_a_subreddit_that_one_stream_never_read_is_behind_and_has_no_age() -> None:
    comments = StreamProof(NAMES, {name: moment for name, moment in WELL.items() if name != "gamma"})
    streams = {"submissions": StreamStanding(StreamProof(NAMES, WELL)), "comments": StreamStanding(comments)}
    (worst,) = Standings.of(streams, NOON, MAX_AGE).worst(5)
    assert (worst.name, worst.proven_until, worst.age_s, worst.behind) == ("Gamma", None, None, True)


def test_an_unavailable_subreddit_is_not_also_behind_or_in_an_open_gap() -> None:
    found = standings(gap("beta", end=None), moments={"beta": NOON - 5000}, absent={"beta": "private"})
    (worst,) = found.worst(5)
    assert (worst.unavailable, worst.behind, worst.open_gaps) == ("private", False, 0)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("alpha", ["Alpha", "Alphabet"]),
        ("  r/ALPHABET ", ["Alphabet"]),
        ("bet", ["beta", "Alphabet"]),
        ("nothing", []),
    ],
)
def test_a_search_finds_any_part_of_a_name_and_lists_the_equal_one_first(text: str, names: list[str]) -> None:
    found = standings(moments={"alphabet": NOON - 900})
    assert [one.name for one in found.search(text)] == names


def test_gaps_that_are_not_repaired_and_concern_many_rank_first() -> None:
    small, large = gap("Alpha"), gap("Alpha", "beta", state=GapState.LOST)
    endless, repaired = gap("Gamma", end=None), gap(*NAMES, state=GapState.REPAIRED)
    filled = gap("Alpha", "beta", "Gamma", state=GapState.FILLED)
    newer = gap("Alpha", at=NOON + 5)
    assert sorted([repaired, endless, filled, small, large, newer], key=gap_rank) == [
        large,
        newer,
        small,
        endless,
        filled,
        repaired,
    ]


def test_a_stream_says_nothing_about_subreddits_that_it_does_not_capture() -> None:
    streams = {
        "submissions": StreamStanding(StreamProof(("Alpha", "beta"), WELL)),
        "comments": StreamStanding(StreamProof(("Alpha",), {"alpha": NOON - 30.0})),
    }
    found = {one.name: one for one in Standings.of(streams, NOON, MAX_AGE).all}
    assert found["Alpha"].proven_until == NOON - 30.0
    assert (found["beta"].proven_until, found["beta"].behind) == (NOON - 10.0, False)
