"""A call of a library that never returns must end as an error; any other one as itself."""

import threading

import pytest

from core.errors import TransientError
from streams.cluster.guarded_call import GuardedCall


def test_a_call_that_returns_is_done_when_run_returns() -> None:
    guard, done = GuardedCall("the call"), list[int]()
    for number in range(3):
        guard.run(lambda: done.append(number))  # noqa: B023  (runs at once)
    assert done == [0, 1, 2]


def test_an_error_of_the_call_is_raised_as_it_is() -> None:
    guard = GuardedCall("the call")

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        guard.run(fail)
    guard.run(lambda: None)


def test_a_call_that_never_returns_is_an_error_that_ends_the_process() -> None:
    never = threading.Event()
    with pytest.raises(TransientError, match="the call has not returned"):
        GuardedCall("the call", 0.05).run(never.wait)
    never.set()
