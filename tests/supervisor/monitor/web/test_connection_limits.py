"""Tests which connection is closed for another, time limits, and when a token is checked. All pure."""

import pytest
import structlog
from structlog.testing import capture_logs

from supervisor.monitor.web.connection_limits import (
    READ_TIMEOUT,
    TIMEOUTS,
    Connection,
    Connections,
    Limits,
    Phase,
    origin_of,
)
from supervisor.monitor.web.counted_log import ThrottledCountLog
from supervisor.monitor.web.token_throttle import TokenThrottle


def filled(*phases: Phase, origin: str = "10.0.0.1", limits: Limits | None = None) -> Connections:
    """Connections added one second apart, each in its phase since then."""
    connections = Connections(limits or Limits(100, len(phases)))
    for second, phase in enumerate(phases):
        one = Connection(origin, float(second))
        connections.add(one)
        connections.move(one, phase, float(second))
    return connections


class TestLimits:
    @pytest.mark.parametrize("files", [64, 128, 256, 1024, 1_048_576])
    def test_two_thirds_of_the_files_stay_free(self, files: int) -> None:
        limits = Limits.of_files(files)
        assert limits.total <= max(files // 3, 16)
        assert limits.per_address < limits.total

    @pytest.mark.parametrize(
        ("phases", "left_out"),
        [
            ([Phase.HEAD, Phase.IDLE], 1),
            ([Phase.LISTENING, Phase.WORKING], 1),
            ([Phase.LISTENING, Phase.LISTENING], 0),
            ([Phase.WORKING, Phase.HEAD, Phase.ANSWERED], 0),  # by age: a new request does not give way to an old one
            ([Phase.LISTENING, Phase.ANSWERED, Phase.HEAD, Phase.IDLE], 3),
        ],
    )
    def test_what_is_needed_least_makes_room(self, phases: list[Phase], left_out: int) -> None:
        connections = filled(*phases)
        victim = connections.add(Connection("10.0.0.1", 100.0))
        assert victim is not None
        assert (victim.since, victim.phase) == (float(left_out), phases[left_out])
        assert len(connections) == len(phases)

    def test_another_address_pays_nothing_for_the_one_that_is_full(self) -> None:
        connections = filled(*[Phase.HEAD] * 3)
        assert connections.add(Connection("10.0.0.2", 100.0)) is None

    def test_in_total_the_address_with_the_most_connections_pays(self) -> None:
        connections = filled(*[Phase.HEAD] * 3, limits=Limits(5, 4))
        for number in (2, 3):
            assert connections.add(Connection(f"10.0.0.{number}", 50.0)) is None
        victim = connections.add(Connection("10.0.0.4", 100.0))
        assert victim is not None
        assert victim.origin == "10.0.0.1"
        assert not connections.remove(victim), "it has left"
        connections.move(victim, Phase.WORKING, 101.0)
        assert len(connections) == 5

    def test_who_leaves_is_forgotten(self) -> None:
        connections = filled(Phase.HEAD)
        (one,) = connections.in_phase(Phase.HEAD)
        assert connections.remove(one)
        assert (len(connections), connections.in_phase(Phase.HEAD)) == (0, [])


class TestTime:
    @pytest.mark.parametrize("phase", list(Phase))
    def test_each_phase_has_its_limit_but_for_events(self, phase: Phase) -> None:
        connections = filled(phase)
        limit = TIMEOUTS.get(phase)
        if limit is None:
            assert phase is Phase.LISTENING
            assert list(connections.overdue(1e9)) == []
        else:
            assert list(connections.overdue(limit - 0.1)) == []
            assert len(list(connections.overdue(limit))) == 1

    def test_who_does_not_read_is_overdue_in_every_phase(self) -> None:
        for phase in Phase:
            connections = filled(phase)
            (one,) = connections.in_phase(phase)
            one.blocked_since = 0.0
            assert [reason for _, reason in connections.overdue(READ_TIMEOUT)][:1] == [
                "slow_reader"
            ] or phase is Phase.HEAD


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        (("192.0.2.7", 1234), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1, 0, 0), "2001:db8:1:2::"),
        (("2001:db8:1:2:ffff::1", 1, 0, 0), "2001:db8:1:2::"),
        (("::ffff:192.0.2.7", 1, 0, 0), "192.0.2.7"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::"),
        ((None,), "None"),
        (None, ""),
    ],
)
def test_a_client_is_told_by_its_address_or_its_network(address: object, origin: str) -> None:
    assert origin_of(address) == origin


class TestThrottle:
    def tries(self, throttle: TokenThrottle, seconds: float, address: str = "a", every: float = 0.001) -> int:
        """Try as fast as possible; return how many tokens were checked."""
        now, looked = 1000.0, 0
        while now < 1000.0 + seconds:
            wait = throttle.wait(address, now)
            if wait <= 0:
                looked += 1
                throttle.failed(address, now)
            now += max(every, wait)
        return looked

    def test_the_pause_grows_up_to_a_minute(self) -> None:
        throttle = TokenThrottle()
        assert self.tries(throttle, 60.0) <= 12
        assert self.tries(TokenThrottle(), 3600.0) <= 80

    def test_a_person_who_mistypes_is_not_kept_waiting(self) -> None:
        throttle = TokenThrottle()
        for _ in range(4):
            throttle.failed("a", 10.0)
        assert throttle.wait("a", 10.0) == 0.0
        throttle.succeeded("a")
        throttle.failed("a", 11.0)
        assert throttle.wait("a", 11.0) == 0.0

    def test_many_addresses_are_slowed_down_together(self) -> None:
        throttle = TokenThrottle()
        looked = 0
        for number in range(100_000):
            address, now = f"address {number}", 1000.0 + number * 0.001
            if throttle.wait(address, now) <= 0:
                looked += 1
                throttle.failed(address, now)
        assert looked < 60
        assert len(throttle) <= 1024

    def test_who_knew_the_token_need_not_wait_for_the_others(self) -> None:
        throttle = TokenThrottle()
        throttle.succeeded("the operator")
        for number in range(100):
            throttle.failed(f"address {number}", 1000.0)
        assert throttle.wait("anybody", 1000.0) > 0
        assert throttle.wait("the operator", 1000.0) == 0.0

    def test_it_is_forgotten_after_a_while(self) -> None:
        throttle = TokenThrottle()
        for _ in range(20):
            throttle.failed("a", 10.0)
        assert throttle.wait("a", 10.0) == 60.0
        assert throttle.wait("a", 700.0) == 0.0

    def test_the_table_of_addresses_is_bounded(self) -> None:
        throttle = TokenThrottle()
        for number in range(5000):
            throttle.failed(f"address {number}", 10.0)
            throttle.succeeded(f"operator {number}")
        assert len(throttle) == 1024


def test_events_are_logged_with_a_count() -> None:
    now = [0.0]
    log = structlog.stdlib.get_logger("test")
    with capture_logs() as logs:
        counted = ThrottledCountLog(log, "connections_dropped", "a hint", clock=lambda: now[0])
        for number in range(1000):
            counted.add("late" if number % 2 else "many", f"10.0.{number}.1")
        assert [entry["count"] for entry in logs] == [1]
        now[0] = 61.0
        counted.flush()
        counted.flush()
    assert [entry["count"] for entry in logs] == [1, 999]
    assert logs[1]["reasons"] == {"many": 499, "late": 500}
    assert len(logs[1]["clients"]) == 5
    assert counted.totals == {"many": 500, "late": 500}
