"""The subreddits that concern this machine: all, or those of its shards."""

from hypothesis import given
from hypothesis import strategies as st

from core.cluster.shards import shard_of
from core.spool import Gap
from core.spool.stream_state import AbsenceNote, StreamState
from core.status.scope import EVERYTHING, Scope

NINE = 1_700_000_000.0
NAMES = ("Bitcoin", "Ethereum", "CryptoMarkets", "ethtrader", "bitcoinmarkets", "u_someone")


def of(*names: str, count: int = 64) -> Scope:
    return Scope(frozenset(shard_of(name, count) for name in names), count)


def gap(*names: str, unproven: tuple[str, ...] = ()) -> Gap:
    return Gap("comments", names, NINE, NINE + 60, "the listing ended", NINE, 2, unproven=unproven)


def test_without_a_cluster_everything_is_shown_as_it_is() -> None:
    state, gaps = StreamState(absent={"Bitcoin": AbsenceNote("private", NINE, 1, NINE)}), (gap("x"), gap("y"))
    assert EVERYTHING.names(NAMES) == NAMES
    assert EVERYTHING.gaps(gaps) == gaps
    assert EVERYTHING.state(state) is state


@given(st.sets(st.integers(0, 15)))
def test_each_subreddit_belongs_to_exactly_one_of_two_halves(shards: set[int]) -> None:
    one, other = Scope(frozenset(shards), 16), Scope(frozenset(range(16)) - shards, 16)
    assert sorted(one.names(NAMES) + other.names(NAMES)) == sorted(NAMES)
    assert not set(one.names(NAMES)) & set(other.names(NAMES))


def test_upper_and_lower_case_belong_together() -> None:
    assert of("Bitcoin").names(["BITCOIN", "bitcoin"]) == ("BITCOIN", "bitcoin")


def test_a_gap_of_others_is_left_out_and_a_shared_one_names_its_own_part_only() -> None:
    mine = of("Bitcoin", "ethtrader")
    shared = gap("bitcoin", "ethereum", "ethtrader", unproven=("ethereum", "ethtrader"))
    found = mine.gaps([gap("ethereum"), shared, gap("bitcoin")])
    assert [(one.subreddits, one.unproven) for one in found] == [
        (("bitcoin", "ethtrader"), ("ethtrader",)),
        (("bitcoin",), ()),
    ]
    assert shared.subreddits == ("bitcoin", "ethereum", "ethtrader"), "the gap itself is as it was"


def test_a_gap_whose_own_part_is_proven_again_is_not_shown_as_one_of_this_machine() -> None:
    assert of("Bitcoin").gaps([gap("bitcoin", "ethereum", unproven=("ethereum",))]) == ()


def test_unavailable_subreddits_of_other_machines_are_not_this_ones_trouble() -> None:
    note = AbsenceNote("private", NINE, 1, NINE)
    state = StreamState(absent={"Bitcoin": note, "Ethereum": note})
    assert of("Bitcoin").state(state).absent == {"Bitcoin": note}
    assert len(state.absent) == 2
