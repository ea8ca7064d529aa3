"""The account of what is on its way: the position never passes what has not arrived."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.sinks.spool_senders import InFlightWindow


def sent(*seqs: int, position: int = 0) -> InFlightWindow:
    delivery = InFlightWindow(position)
    for seq in seqs:
        delivery.record_sent(seq)
    return delivery


def test_position_moves_over_an_unbroken_run_of_reports_only() -> None:
    delivery = sent(1, 2, 3, 4)
    delivery.acknowledge([2, 3])
    assert (delivery.advance(), delivery.position) == (0, 0)
    delivery.acknowledge([1])
    assert (delivery.advance(), delivery.position) == (3, 3)


def test_holes_in_the_numbers_do_not_hold_the_position_up() -> None:
    delivery = sent(12, 15, 40, position=10)
    delivery.acknowledge([40, 12, 15])
    assert (delivery.advance(), delivery.position) == (3, 40)


def test_a_dead_letter_lets_the_position_pass_but_is_not_counted_as_arrived() -> None:
    delivery = sent(1, 2, 3)
    delivery.dead_letter(2)
    delivery.acknowledge([1, 3])
    assert (delivery.advance(), delivery.position) == (2, 3)


def test_after_a_rewind_only_what_is_missing_goes_again() -> None:
    delivery = sent(1, 2, 3)
    delivery.acknowledge([1, 3])
    delivery.advance()
    delivery.rewind()
    assert delivery.sent == 1
    assert [seq for seq in (2, 3) if seq not in delivery.arrived] == [2]


def test_a_record_is_not_handed_over_twice_by_mistake() -> None:
    with pytest.raises(ValueError, match="2 was already sent"):
        sent(1, 2, 2)


@st.composite
def histories(draw: st.DrawFn) -> Iterator[tuple[str, int]]:
    """Any mixture of sending, reports in any order, failures followed by a rewind, burials and saved positions."""
    steps = draw(
        st.lists(st.tuples(st.sampled_from(["send", "ack", "dead_letter", "rewind", "crash"]), st.integers(0, 9)))
    )
    return iter(steps)


@given(holes=st.lists(st.integers(1, 3), min_size=1, max_size=40), history=histories())
@settings(max_examples=100)
def test_whatever_happens_nothing_behind_the_position_is_missing(
    holes: list[int], history: Iterator[tuple[str, int]]
) -> None:
    """Reports in any order, records sent again, a crash at any point: all that the position passed has arrived."""
    spool = [sum(holes[: index + 1]) for index in range(len(holes))]
    in_kafka: set[int] = set()
    dead: set[int] = set()
    flying: list[int] = []
    delivery = InFlightWindow(0)
    counted = 0
    for action, number in history:
        waiting = [seq for seq in spool if seq > delivery.sent]
        if action == "send" and waiting:
            seq = waiting[0]
            if seq not in delivery.arrived:
                flying.append(seq)
            delivery.record_sent(seq)
        elif action in ("ack", "dead_letter") and flying:
            seq = flying.pop(number % len(flying))
            if action == "ack":
                in_kafka.add(seq)
                delivery.acknowledge([seq])
            else:
                dead.add(seq)
                delivery.dead_letter(seq)
        elif action == "rewind":
            flying.clear()  # failed: their reports say so, or their producer is gone
            delivery.rewind()
        elif action == "crash":
            flying.clear()
            delivery = InFlightWindow(delivery.position)
        counted += delivery.advance()
        assert all(seq in in_kafka | dead for seq in spool if seq <= delivery.position)
        assert delivery.position in {0, *spool}
        assert list(delivery.on_way) == [seq for seq in spool if delivery.position < seq <= delivery.sent]
        assert counted <= len(in_kafka)
