"""The size of a transaction: it grows while there is a backlog, and the broker's speed bounds its duration."""

import pytest

from streams.sinks.kafka.transaction_size import MOST_BYTES, MOST_RECORDS, TARGET_S, TransactionSize

BATCH = 500


def run(size: TransactionSize, start: float, *, rate: float, backlog: int = 10**9, record: int = 500) -> float:
    """Fill one transaction in batches and commit it; the broker takes `rate` records a second. Return its duration."""
    size.begin(start)
    records = 0
    while True:  # batches are read and queued a hundred times faster than a slow broker takes them
        batch = min(BATCH, backlog - records)
        records += batch
        size.add(batch, batch * record)
        if size.is_full(start + records / 100_000) or records == backlog:
            break
    duration = 0.02 + records / rate
    size.committed(start + duration)
    return duration


def test_while_there_is_a_backlog_transactions_grow_to_the_limit() -> None:
    size, limits = TransactionSize(), []
    for number in range(8):
        run(size, 10.0 * number, rate=50_000)
        limits.append(size.most_records)
    assert limits == [1000, 2000, 4000, 8000, 16_000, MOST_RECORDS, MOST_RECORDS, MOST_RECORDS]


@pytest.mark.parametrize("rate", [1_000, 3_000, 10_000, 25_000])
def test_a_slow_broker_gets_smaller_ones_so_that_none_takes_much_longer_than_the_target(rate: int) -> None:
    size = TransactionSize()
    durations = [run(size, 100.0 * number, rate=rate) for number in range(20)]
    assert max(durations) <= 1.6 * TARGET_S  # a whole batch above the limit
    assert size.most_records == pytest.approx(rate, rel=0.1) or size.most_records == MOST_RECORDS


def test_when_the_backlog_is_over_the_next_one_begins_small_again() -> None:
    size = TransactionSize()
    for number in range(10):
        run(size, 10.0 * number, rate=50_000)
    run(size, 200.0, rate=50_000, backlog=7)
    assert size.most_records == BATCH


def test_nothing_is_added_to_a_transaction_that_is_half_a_target_old() -> None:
    size = TransactionSize()
    size.begin(0.0)
    size.add(1, 500)
    assert not size.is_full(0.49 * TARGET_S)
    assert size.is_full(0.51 * TARGET_S)


def test_large_records_fill_it_by_their_bytes() -> None:
    size = TransactionSize()
    sizes = []
    for number in range(10):
        size.begin(10.0 * number)
        records = 0
        while not size.is_full(10.0 * number):
            size.add(10, 10 * 40_000)
            records += 10
        sizes.append(records * 40_000)
        size.committed(10.0 * number + 0.1)
    assert sizes == sorted(sizes)
    assert MOST_BYTES <= sizes[-1] <= MOST_BYTES + 400_000


def test_after_a_failure_it_begins_small_again() -> None:
    size = TransactionSize()
    for number in range(5):
        run(size, 10.0 * number, rate=50_000)
    size.restart()
    assert size.most_records == BATCH
