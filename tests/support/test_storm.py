"""A storm's plan must be fair: the same for a seed, one machine left alone at any moment, one broker away at most."""

from collections.abc import Iterator

import pytest

from tests.support.storm import Trouble, plan

MACHINES, BROKERS = ("m1", "m2", "m3"), (1, 2, 3)
SEEDS = range(30)


def overlapping(troubles: list[Trouble], at: float) -> Iterator[Trouble]:
    return (one for one in troubles if one.at <= at <= one.at + one.seconds)


def test_a_seed_gives_the_same_storm_again() -> None:
    assert plan(7, 600, MACHINES, BROKERS) == plan(7, 600, MACHINES, BROKERS) != plan(8, 600, MACHINES, BROKERS)


@pytest.mark.parametrize("machines", [MACHINES, MACHINES[:2]])
def test_one_machine_is_left_alone_and_one_broker_at_most_is_away(machines: tuple[str, ...]) -> None:
    for seed in SEEDS:
        troubles = plan(seed, 600, machines, BROKERS)
        for one in troubles:
            now = list(overlapping(troubles, one.at))
            assert len({other.target for other in now if other.target in machines}) < len(machines)
            assert sum("broker" in other.kind for other in now) <= 1


def test_a_calm_kill_has_no_other_trouble_around_it() -> None:
    for seed in SEEDS:
        troubles = plan(seed, 600, MACHINES, BROKERS)
        kills = [one for one in troubles if one.calm]
        assert len(kills) >= 3
        for kill in kills:
            others = [one for one in troubles if one != kill]
            assert all(one.at + one.seconds < kill.at - 4 or one.at > kill.at + kill.seconds for one in others)


def test_a_long_storm_has_every_kind_of_trouble_and_none_of_brokers_that_it_does_not_have() -> None:
    kinds = {one.kind for one in plan(1, 3600, MACHINES, BROKERS)}
    assert len(kinds) == 9
    assert not any("broker" in one.kind for one in plan(1, 3600, MACHINES))
