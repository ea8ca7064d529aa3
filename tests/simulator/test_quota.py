"""Quotas are counted by client, in fixed windows."""

from simulator.served_quota import Quota


def test_headers_are_written_as_reddit_writes_them() -> None:
    usage = Quota(1000, 600.0).charge("a", now=600.0 * 5 + 0.5)
    assert usage.headers() == {
        "X-Ratelimit-Used": "1",
        "X-Ratelimit-Remaining": "999.0",
        "X-Ratelimit-Reset": "600",
    }
    assert usage.headers(fractional_reset=True)["X-Ratelimit-Reset"] == "599.50"


def test_the_quota_is_spent_and_then_refused_until_the_window_ends() -> None:
    quota = Quota(3, 10.0)
    assert [quota.charge("a", 101.0).allowed for _ in range(5)] == [True, True, True, False, False]
    assert quota.usage("a", 109.9).remaining == 0
    fresh = quota.charge("a", 110.0)
    assert (fresh.allowed, fresh.used, fresh.remaining, fresh.reset) == (True, 1, 2, 10.0)


def test_windows_are_fixed_and_do_not_begin_with_the_first_request() -> None:
    assert Quota(3, 10.0).charge("a", 108.0).reset == 2.0


def test_clients_do_not_share_a_quota() -> None:
    quota = Quota(1, 10.0)
    quota.charge("a", 100.0)
    assert quota.charge("b", 100.0).allowed
    assert not quota.charge("a", 100.0).allowed
    assert quota.clients() == ["a", "b"]


def test_looking_costs_nothing() -> None:
    quota = Quota(1, 10.0)
    assert quota.usage("a", 100.0).used == quota.usage("a", 100.0).used == 0
