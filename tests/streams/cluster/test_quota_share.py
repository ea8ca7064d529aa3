"""Machines with one client id never have more than its quota together, although each hears of the others late."""

import random
from collections import deque
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cluster.view import Machine
from streams.cluster.quota_share import ShareState, Sharing, advance, begin, shares
from streams.cluster.state_records import HEARTBEAT_EVERY_S

QUOTA = 100.0
SESSION = 6.0
BIRTH = 1_700_000_000.0
_TICK = 0.25
_MINUTE = int(60 / _TICK)


def machine(name: str, needed: float = 0.0, wished: float | None = None, at: float = BIRTH) -> Machine:
    return Machine(name, at, client="c", needed=needed, wished=max(needed, wished or 0.0))


class Topic:
    """The partition of the heartbeats: one order for all; what is written is read after each reader's own delay."""

    def __init__(self) -> None:
        self.log: list[tuple[float, Machine]] = []
        self.is_away = False

    def write(self, at: float, heartbeat: Machine) -> None:
        if not self.is_away:
            self.log.append((at, heartbeat))


class Node:
    """A machine whose publisher reads and computes every second, and writes a heartbeat every two."""

    def __init__(self, topic: Topic, name: str, now: float, draw: random.Random, stored: float | None = None) -> None:
        self.topic, self.name, self.draw = topic, name, draw
        self.sharing = Sharing(name, "c", QUOTA, SESSION)
        self.state: ShareState = begin(self.sharing, now, stored)
        self.needed, self.wished = draw.uniform(0.0, 0.4), draw.uniform(0.0, 1.0)
        self.read = 0
        self.is_frozen = self.is_cut_off = False
        self.beats_at, self.computes_at = now + draw.uniform(0.0, 1.0), now + draw.uniform(0.0, 1.0)

    def tick(self, now: float) -> None:
        if self.is_frozen:
            return
        if now >= self.beats_at and not self.is_cut_off:
            self.beats_at = now + HEARTBEAT_EVERY_S
            self.topic.write(now, machine(self.name, self.needed, self.wished, BIRTH + now))
        if now >= self.computes_at:
            self.computes_at = now + 1.0
            new = list(self._arrived(now))
            self.state = advance(self.state, new, now, BIRTH + now, needed=self.needed, sharing=self.sharing)

    def _arrived(self, now: float) -> Iterator[Machine]:
        delay = self.draw.uniform(0.0, 0.8)
        while self.read < len(self.topic.log) and not self.is_cut_off and not self.topic.is_away:
            written, heartbeat = self.topic.log[self.read]
            if written + delay > now:
                return
            self.read += 1
            yield heartbeat


class Cluster:
    """Machines on one clock; `minute` holds the sum of their shares at each tick of the last minute."""

    def __init__(self, seed: int = 1) -> None:
        self.draw = random.Random(seed)
        self.topic = Topic()
        self.nodes: dict[str, Node] = {}
        self.now = 0.0
        self.minute: deque[float] = deque(maxlen=_MINUTE)

    def join(self, name: str, stored: float | None = None) -> Node:
        self.nodes[name] = Node(self.topic, name, self.now, self.draw, stored)
        return self.nodes[name]

    @property
    def total(self) -> float:
        return sum(node.state.share for node in self.nodes.values() if not node.is_frozen)

    def run(self, seconds: float, each: Callable[[], None] = lambda: None) -> None:
        for _ in range(int(seconds / _TICK)):
            self.now += _TICK
            for node in self.nodes.values():
                node.tick(self.now)
            self.minute.append(self.total)
            each()

    def share(self, name: str) -> float:
        return self.nodes[name].state.share


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(2, 5))
def test_needs_that_jump_never_make_the_sum_larger_than_the_quota_at_any_moment(seed: int, count: int) -> None:
    cluster = Cluster(seed)
    for number in range(count):
        cluster.join(f"m{number}")
    cluster.run(15.0)

    def jump() -> None:
        node = cluster.draw.choice(list(cluster.nodes.values()))
        if cluster.draw.random() < 0.3:
            node.needed = cluster.draw.choice([0.0, 0.2, 1.0, 3.0])
            node.wished = cluster.draw.uniform(0.0, 2.0)
        assert cluster.total <= QUOTA * 1.0001
        assert min(node.state.share for node in cluster.nodes.values()) >= 0.02 * QUOTA * 0.999

    cluster.run(60.0, jump)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_joins_deaths_and_freezes_keep_every_minute_within_105_percent(seed: int) -> None:
    cluster = Cluster(seed)
    draw = cluster.draw
    for number in range(3):
        cluster.join(f"m{number}", stored=QUOTA)
    cluster.run(75.0)
    names = [f"m{number}" for number in range(5)]

    def storm() -> None:
        if draw.random() < _TICK / 20.0:  # about every 20 s
            name = draw.choice(names)
            node = cluster.nodes.get(name)
            if node is None:
                cluster.join(name, stored=draw.choice([None, QUOTA, 10.0]))
            elif draw.random() < 0.5 and len(cluster.nodes) > 1:
                del cluster.nodes[name]
            else:
                node.is_frozen = not node.is_frozen
        assert sum(cluster.minute) / len(cluster.minute) <= 1.05 * QUOTA
        assert all(node.state.share >= 0.02 * QUOTA * 0.999 for node in cluster.nodes.values())

    cluster.run(240.0, storm)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 4))
def test_a_machine_that_remains_alone_has_the_whole_quota_soon(seed: int, count: int) -> None:
    cluster = Cluster(seed)
    for number in range(count):
        cluster.join(f"m{number}")
    cluster.run(30.0)
    for number in range(1, count):
        del cluster.nodes[f"m{number}"]
    cluster.run(17.0)  # two sessions, the time until a raise, the last heartbeat on its way
    assert cluster.share("m0") == pytest.approx(QUOTA)


def test_a_machine_that_starts_alone_has_the_whole_quota_within_seconds() -> None:
    cluster = Cluster()
    cluster.join("m0")
    assert cluster.share("m0") == 0.25 * QUOTA, "careful at first"
    cluster.run(6.0)
    assert cluster.share("m0") == pytest.approx(QUOTA)


def test_a_machine_that_says_that_it_stops_leaves_its_share_at_once() -> None:
    sharing = Sharing("m0", "c", QUOTA, SESSION)
    state = begin(sharing, 0.0)
    both = [machine("m0", 0.5), machine("m1", 0.5)]
    state = advance(state, both, 0.0, BIRTH, needed=0.5, sharing=sharing)
    state = advance(state, [machine("m0", 0.5, at=BIRTH + 4)], 4.0, BIRTH + 4, needed=0.5, sharing=sharing)
    assert state.share == pytest.approx(QUOTA / 2)
    state = advance(state, [], 5.0, BIRTH + 5, needed=0.5, sharing=sharing, left=["m1"])
    state = advance(state, [], 8.0, BIRTH + 8, needed=0.5, sharing=sharing)
    assert state.share == pytest.approx(QUOTA)


def test_machines_with_other_client_ids_do_not_share() -> None:
    sharing = Sharing("m0", "c", QUOTA, SESSION)
    other = Machine("m1", BIRTH, client="other", needed=9.0, wished=9.0)
    state = advance(begin(sharing, 0.0), [other, machine("m0")], 0.0, BIRTH, needed=0.0, sharing=sharing)
    assert advance(state, [], 3.5, BIRTH + 3.5, needed=0.0, sharing=sharing).share == QUOTA


def test_while_kafka_is_away_every_machine_keeps_what_it_needs_and_no_more_than_it_had() -> None:
    cluster = Cluster()
    for name, needed in (("m0", 0.1), ("m1", 0.6), ("m2", 0.0)):
        cluster.join(name).needed = needed
    cluster.run(20.0)
    before = {name: cluster.share(name) for name in cluster.nodes}
    cluster.topic.is_away = True
    cluster.run(300.0)
    assert cluster.total <= QUOTA
    for name, node in cluster.nodes.items():
        assert node.needed * 60.0 <= cluster.share(name) <= before[name]
    cluster.topic.is_away = False
    cluster.run(20.0, lambda: check_total(cluster))
    assert cluster.share("m0") == pytest.approx(before["m0"], rel=0.01)


def check_total(cluster: Cluster) -> None:
    assert cluster.total <= QUOTA * 1.0001


def test_a_machine_that_alone_is_cut_off_from_kafka_gives_up_its_spare_part_before_the_others_take_it() -> None:
    cluster = Cluster()
    for name in ("m0", "m1", "m2"):
        cluster.join(name).needed = 0.0
    cluster.run(20.0)
    cluster.nodes["m0"].is_cut_off = True
    cluster.run(120.0, lambda: check_cut_off(cluster))
    assert cluster.share("m0") == pytest.approx(0.02 * QUOTA)


def check_cut_off(cluster: Cluster) -> None:
    assert cluster.total <= 1.05 * QUOTA


def test_a_start_while_kafka_is_away_is_careful_first_and_then_uses_the_last_share() -> None:
    cluster = Cluster()
    cluster.topic.is_away = True
    cluster.join("m0", stored=80.0)
    cluster.join("m1", stored=10.0)
    assert cluster.share("m0") == 0.25 * QUOTA
    cluster.run(60.0)
    assert (cluster.share("m0"), cluster.share("m1")) == (80.0, 10.0)


def test_a_quick_restart_continues_with_the_share_that_the_others_still_leave() -> None:
    assert begin(Sharing("m0", "c", QUOTA, SESSION), 0.0, 60.0, is_recent=True).share == 60.0


wishes = st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 5.0))


@given(st.lists(wishes, min_size=1, max_size=60))
def test_needs_come_first_then_wishes_and_all_of_the_quota_is_given(pairs: list[tuple[float, float]]) -> None:
    machines = [machine(f"m{number:02}", *pair) for number, pair in enumerate(pairs)]
    given_ = shares(machines, QUOTA)
    assert sum(given_.values()) == pytest.approx(QUOTA)
    assert min(given_.values()) >= min(0.02 * QUOTA, 0.25 * QUOTA / len(machines)) * 0.999
    if 75.0 * sum(one.needed for one in machines) <= 0.75 * QUOTA:
        assert all(given_[one.instance] >= 75.0 * one.needed * 0.999 for one in machines), "a need before any wish"


@given(st.lists(wishes, min_size=2, max_size=8))
def test_no_share_shrinks_when_a_machine_leaves(pairs: list[tuple[float, float]]) -> None:
    machines = [machine(f"m{number}", *pair) for number, pair in enumerate(pairs)]
    before, after = shares(machines, QUOTA), shares(machines[1:], QUOTA)
    assert all(after[name] >= before[name] - 1e-6 for name in after)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1.0, 1e300, None, "many"])
def test_a_heartbeat_with_an_odd_number_takes_nothing_that_others_need_for_ever(odd: object) -> None:
    strange = Machine("m0", BIRTH, client="c", needed=odd, wished=odd)  # type: ignore[arg-type]
    given_ = shares([strange, machine("m1", 0.1)], QUOTA)
    assert sum(given_.values()) == pytest.approx(QUOTA)
    assert given_["m1"] >= 0.02 * QUOTA
