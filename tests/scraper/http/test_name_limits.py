"""Whose fault a 429 is: one address's, or the quota's."""

from core.reddit.name_limits import NameLimits


def test_refusals_with_others_served_between_them_are_the_addresss_own() -> None:
    limits = NameLimits()
    assert not limits.refused("/r/a/about", 10.0, has_delay=False)
    assert limits.needs_control("/r/a/about")
    limits.served("/r/b/about", 11.0)
    assert not limits.needs_control("/r/a/about")
    assert limits.refused("/r/a/about", 12.0, has_delay=False)
    assert not limits.refused("/r/c/about", 12.0, has_delay=False), "of others nothing is known"


def test_refusals_of_one_moment_count_as_one() -> None:
    limits = NameLimits()
    limits.served("/r/b/about", 9.0)
    assert not any(limits.refused("/r/a/about", at, has_delay=False) for at in (10.0, 10.1, 40.0, 90.0))


def test_where_the_429_names_a_time_it_takes_one_more() -> None:
    limits, own = NameLimits(), []
    for at in (10.0, 20.0, 30.0):
        own.append(limits.refused("/r/a/about", at, has_delay=True))
        limits.served("/r/b/about", at + 1.0)
    assert own == [False, False, True]


def test_one_answer_forgets_it() -> None:
    limits = NameLimits()
    for at in (10.0, 20.0):
        limits.refused("/r/a/about", at, has_delay=False)
        limits.served("/r/b/about", at + 1.0)
    limits.served("/r/a/about", 30.0)
    assert not limits.refused("/r/a/about", 40.0, has_delay=False)


def test_only_so_many_addresses_are_remembered() -> None:
    limits = NameLimits()
    for number in range(1000):
        limits.refused(f"/r/a{number}/about", float(number), has_delay=False)
    assert not limits.needs_control("/r/a0/about")
    assert limits.needs_control("/r/a999/about")
