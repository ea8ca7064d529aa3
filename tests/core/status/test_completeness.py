"""Completeness counts what was proven, and nothing else: not what lies in a gap, and not what nobody has read."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.spool import Gap, GapState
from core.spool.stream_state import StreamState
from core.status.completeness import WINDOW, StreamProof, longest_silence

NOON = 1_800_000_000.0
BOTH = ("Bitcoin", "ethereum")


def gap(**more: Any) -> Gap:
    """An open gap of ten minutes that concerns one of two subreddits."""
    known = {"start": NOON - 3600, "end": NOON - 3000, "unproven": ("Bitcoin",), "subreddits": BOTH}
    return Gap(
        **{"stream": "comments", "reason": "the listing ended", "recorded_at": NOON, "epoch": 2, **known, **more}
    )


def proof(*gaps: Gap, **more: Any) -> StreamProof:
    """Two subreddits, both proven up to now, since 6,000 s ago."""
    known = StreamProof(BOTH, {"bitcoin": NOON, "ethereum": NOON}, gaps, NOON - 6000)
    return replace(known, **more)


def complete(*gaps: Gap, now: float = NOON, **more: Any) -> float:
    return proof(*gaps, **more).shares(now).proven


class TestShares:
    def test_proven_up_to_now_and_without_gaps_everything_is_complete(self) -> None:
        shares = proof().shares(NOON)
        assert (shares.proven, shares.unread, shares.completeness, shares.percent) == (1.0, 0.0, 1.0, 100.0)

    def test_time_that_is_not_read_yet_is_not_complete_and_the_share_falls_by_itself(self) -> None:
        assert [complete(now=NOON + past) for past in (0, 60, 6000)] == pytest.approx([1.0, 6000 / 6060, 0.5])
        assert proof().shares(NOON + 6000).unread == pytest.approx(0.5)

    def test_a_subreddit_that_was_never_proven_counts_nothing(self) -> None:
        assert complete(moments={"bitcoin": NOON}) == pytest.approx(0.5)
        assert complete(moments={}) == 0.0

    def test_before_the_first_poll_nothing_is_complete(self) -> None:
        shares = StreamProof(BOTH).shares(NOON)
        assert (shares.proven, shares.unread, shares.completeness) == (0.0, 1.0, 0.0)
        assert complete(begun=NOON) == 0.0

    def test_a_gap_counts_for_its_subreddits_and_its_time(self) -> None:
        shares = proof(gap()).shares(NOON)  # 600 s of one of two, in 6,000 s
        assert (shares.proven, shares.gaps[GapState.OPEN], shares.unread) == pytest.approx((0.95, 0.05, 0.0))

    @pytest.mark.parametrize("state", [GapState.OPEN, GapState.FILLED, GapState.LOST])
    def test_only_what_is_repaired_is_proven(self, state: GapState) -> None:
        shares = proof(gap(state=state, closed_at=NOON)).shares(NOON)
        assert shares.proven == pytest.approx(0.95)
        assert shares.gaps[state] == pytest.approx(0.05)
        assert complete(gap(state=GapState.REPAIRED, closed_at=NOON)) == 1.0

    def test_where_gaps_overlap_time_counts_once_and_for_the_open_one(self) -> None:
        shares = proof(gap(state=GapState.LOST), gap(start=NOON - 3300, end=NOON - 2700)).shares(NOON)
        assert shares.gaps[GapState.OPEN] == pytest.approx(0.05)
        assert shares.gaps[GapState.LOST] == pytest.approx(0.025)
        assert shares.proven == pytest.approx(0.925)

    def test_a_gap_without_end_reaches_to_now(self) -> None:
        away = gap(end=None)
        assert [complete(away, now=NOON, begun=NOON - 7200) for _ in range(1)] == pytest.approx([0.75])
        shares = proof(away, begun=NOON - 7200).shares(NOON + 7200)
        assert shares.gaps[GapState.OPEN] == pytest.approx((3600 + 7200) / 2 / 14400)
        assert shares.unread == pytest.approx(0.25), "of the other one: what lies in a gap is not unread too"

    def test_a_gap_that_reaches_beyond_what_was_read_is_a_gap(self) -> None:
        shares = proof(gap(start=NOON - 600, end=NOON + 600), begun=NOON - 6000).shares(NOON + 600)
        assert shares.gaps[GapState.OPEN] == pytest.approx(1200 / 2 / 6600)

    def test_only_the_last_day_counts_and_an_unknown_beginning_is_its_beginning(self) -> None:
        assert complete(gap(start=NOON - 200_000, end=NOON - 100_000), begun=NOON - 400_000) == 1.0
        unknown = gap(start=None, end=NOON - WINDOW / 2, unproven=BOTH)
        assert complete(unknown, begun=NOON - 400_000) == pytest.approx(0.5)

    def test_a_gap_from_before_the_beginning_counts_as_that_of_a_lost_spool(self) -> None:
        lost = gap(start=NOON - 9000, end=NOON - 6000, unproven=BOTH, state=GapState.LOST, closed_at=NOON)
        assert complete(lost, begun=NOON - 6000) == pytest.approx(6000 / 9000)
        assert complete(lost, begun=None, moments={}) == 0.0
        assert complete(replace(lost, state=GapState.REPAIRED), begun=NOON - 6000) == 1.0

    def test_almost_complete_is_never_called_complete(self) -> None:
        shares = proof(gap(start=NOON - 600, end=NOON - 600), begun=NOON - WINDOW).shares(NOON)
        assert shares.percent < 100.0
        assert shares.completeness < 1.0
        assert shares.proven == pytest.approx(1 - 1 / 2 / WINDOW), "dates are whole seconds: it lasts one at least"

    def test_subreddits_that_are_not_configured_any_more_do_not_count(self) -> None:
        assert complete(gap(unproven=("gone",))) == 1.0
        assert complete(moments={"bitcoin": NOON, "ethereum": NOON, "gone": 0.0}) == 1.0

    def test_names_are_the_same_whatever_their_case(self) -> None:
        assert complete(gap(unproven=("BITCOIN",))) == pytest.approx(0.95)

    @pytest.mark.parametrize("offset", [-3600.0, 90.0])
    def test_now_is_by_reddits_clock(self, offset: float) -> None:
        """Our clock is wrong; what is proven by Reddit's clock neither lies in the future nor an hour back."""
        moments = dict.fromkeys(("bitcoin", "ethereum"), NOON + offset)
        shares = proof(moments=moments, clock_offset=offset).shares(NOON)
        assert (shares.proven, shares.end) == (1.0, NOON + offset)
        assert proof(moments=moments, clock_offset=offset).unread_s(NOON + 30) == 30.0


class TestProvenUntil:
    def test_it_is_that_of_the_subreddit_that_is_furthest_behind(self) -> None:
        assert proof(moments={"bitcoin": NOON - 90, "ethereum": NOON}).proven_until == NOON - 90

    def test_one_that_was_never_proven_leaves_none(self) -> None:
        assert proof(moments={"ethereum": NOON}).proven_until is None
        assert proof(moments={}).unread_s(NOON) is None

    def test_one_in_a_gap_without_end_does_not_hold_it_back(self) -> None:
        away = gap(start=None, end=None)
        assert proof(away, moments={"ethereum": NOON}).proven_until == NOON
        assert proof(away, moments={"bitcoin": NOON - 900, "ethereum": NOON}).proven_until == NOON

    def test_unless_all_are(self) -> None:
        away = gap(end=None, unproven=BOTH)
        assert proof(away, moments={"bitcoin": NOON - 900, "ethereum": NOON - 800}).proven_until == NOON - 900

    def test_each_subreddit_is_named_as_the_configuration_spells_it(self) -> None:
        moments = proof(moments={"bitcoin": NOON - 90}).by_subreddit()
        assert moments == {"Bitcoin": NOON - 90, "ethereum": None}

    def test_it_is_read_from_the_cursor_and_nonsense_is_no_proof(self) -> None:
        cursor = {"proven_until": {"bitcoin": NOON, "ethereum": "soon", "x": True}, "begun": NOON, "clock_offset": 2}
        read = StreamProof.read(BOTH, StreamState.read(cursor), [gap()])
        assert (read.moments, read.begun, read.clock_offset, len(read.gaps)) == ({"bitcoin": NOON}, NOON, 2.0, 1)
        nonsense = StreamState.read({"proven_until": [1], "clock_offset": math.inf})
        assert StreamProof.read(BOTH, nonsense, []).moments == {}


class TestUnreadSteps:
    def test_each_moment_adds_the_subreddits_that_are_read_no_further(self) -> None:
        three = StreamProof(("a", "b", "c", "d"), {"a": NOON - 60, "b": NOON - 60, "c": NOON})
        assert three.unread_steps(9) == [(-math.inf, 0.25), (NOON - 60, 0.75), (NOON, 1.0)]

    def test_one_in_a_gap_without_end_is_drawn_as_a_gap(self) -> None:
        assert proof(gap(end=None)).unread_steps(9) == [(NOON, 0.5)]

    def test_of_too_many_steps_the_last_are_merged_at_the_earliest_moment(self) -> None:
        many = StreamProof(tuple("abcd"), {name: NOON + place for place, name in enumerate("abcd")})
        assert many.unread_steps(2) == [(NOON, 0.25), (NOON + 1, 1.0)]


def test_a_proven_moment_is_old_when_a_healthy_stream_would_have_moved_it() -> None:
    assert longest_silence(16.0) == 77.0


@given(
    spans=st.lists(st.tuples(st.floats(-9000, 3000), st.floats(0, 5000), st.sampled_from(GapState), st.booleans())),
    moments=st.dictionaries(st.sampled_from(("bitcoin", "ethereum")), st.floats(-9000, 3000)),
    past=st.floats(0, 4000),
)
def test_the_shares_add_up_and_more_time_without_reading_never_adds_proof(
    spans: list[tuple[float, float, GapState, bool]], moments: dict[str, float], past: float
) -> None:
    gaps = [
        gap(start=NOON + at, end=None if endless else NOON + at + length, state=state)
        for at, length, state, endless in spans
    ]
    known = proof(*gaps, moments={name: NOON + at for name, at in moments.items()})
    now, later = known.shares(NOON), known.shares(NOON + past)
    for shares in (now, later):
        assert shares.proven + shares.unread + sum(shares.gaps.values()) == pytest.approx(1.0)
        assert min(shares.proven, shares.unread, *shares.gaps.values()) >= -1e-12
    if all(at <= 0 for at in moments.values()):
        assert later.proven <= now.proven + 1e-12


def test_after_a_loss_nothing_is_claimed_of_the_time_before_a_subreddits_own_gap() -> None:
    """Of one subreddit the last delivered record is old, of the other one young: between them nothing is known."""
    quiet, busy = (
        gap(start=NOON - 1000.0, end=NOON - 50.0, unproven=("Bitcoin",)),
        gap(start=NOON - 100.0, end=NOON - 50.0, unproven=("ethereum",)),
    )
    proof = StreamProof(BOTH, {"bitcoin": NOON, "ethereum": NOON}, (quiet, busy), begun=NOON - 50.0)
    shares = proof.shares(NOON)
    assert shares.start == NOON - 1000.0
    assert shares.proven == pytest.approx(100.0 / 1100.0), "only what was read since"
    assert shares.gaps[GapState.OPEN] == pytest.approx(1000.0 / 1100.0)
    assert shares.unread == pytest.approx(0.0)


def test_a_spool_of_version_0_1_is_proven_up_to_its_newest_items() -> None:
    proof = StreamProof.read(BOTH, StreamState.read({"proven_at": {"bitcoin": NOON - 9.0, "ethereum": NOON - 5.0}}), ())
    assert proof.proven_until == NOON - 9.0


_MOMENTS = st.integers(0, 100).map(lambda seconds: NOON - 10.0 * seconds)
_LEDGERS = st.lists(
    st.tuples(st.sets(st.sampled_from("abcde"), min_size=1), _MOMENTS, _MOMENTS, st.sampled_from(GapState)), max_size=6
)


@given(st.dictionaries(st.sampled_from("abcde"), _MOMENTS), _LEDGERS)
def test_the_shares_of_several_subreddits_are_the_means_of_their_own(
    moments: dict[str, float], ledger: list[tuple[set[str], float, float, GapState]]
) -> None:
    """Subreddits with the same gaps are counted together; the result is the same as for each of them alone."""
    gaps = tuple(
        gap(subreddits=tuple(names), unproven=tuple(names), start=min(times), end=max(times), state=state)
        for names, *times, state in ledger
    )
    begun = NOON - 1000
    together = StreamProof(tuple("abcde"), moments, gaps, begun).shares(NOON)
    alone = [StreamProof((name,), moments, gaps, begun).shares(NOON) for name in "abcde"]
    assert together.proven == pytest.approx(sum(one.proven for one in alone) / 5, abs=1e-9)
    assert together.unread == pytest.approx(sum(one.unread for one in alone) / 5, abs=1e-9)
    for state in (GapState.OPEN, GapState.LOST, GapState.FILLED):
        mean = sum(one.gaps.get(state, 0.0) for one in alone) / 5
        assert together.gaps.get(state, 0.0) == pytest.approx(mean, abs=1e-9)
