"""Several batches become one transaction: every row once, the newest, in the order of the keys."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from scraper.reddit.rows import PostFigures
from scraper.store import Batch, Found, ProxyDelta, SaveOutcome
from scraper.store.batches.merged_batch import merge
from tests.scraper.store.stage import NOON, a_post, a_rule, a_subreddit, a_user, later

_versions = st.lists(
    st.tuples(st.sampled_from(["a", "B", "b", "A", "c"]), st.integers(0, 3), st.integers()), max_size=20
)


@given(_versions, st.integers(1, 5))
def test_of_each_name_the_last_of_the_newest_stays(versions: list[tuple[str, int, int]], size: int) -> None:
    rows = [a_user(name, NOON + timedelta(seconds=age), link_karma=number) for name, age, number in versions]
    work = merge([Batch(users=rows[at : at + size]) for at in range(0, len(rows), size)])
    expected = {}
    for row in sorted(rows, key=lambda row: row.fetched_at):  # a stable sort: the later of the same age comes later
        expected[row.username.lower()] = row
    assert work.users == [expected[key] for key in sorted(expected)]


@given(st.lists(st.tuples(st.sampled_from("xyzXY"), st.integers(0, 5)), max_size=20))
def test_of_each_subreddit_found_the_shortest_way_stays(found: list[tuple[str, int]]) -> None:
    work = merge([Batch(found=[Found(name, depth, str(depth))]) for name, depth in found])
    names = [item.name.lower() for item in work.found]
    assert names == sorted({name.lower() for name, _ in found})
    for item in work.found:
        assert item.depth == min(depth for name, depth in found if name.lower() == item.name.lower())


def test_a_newer_set_of_rules_replaces_an_older_one_in_whatever_order_they_come() -> None:
    old, new = Batch(rules={"Bitcoin": [a_rule(0), a_rule(1)]}), Batch(rules={"bitcoin": [a_rule(0, later(1))]})
    for batches in ([old, new], [new, old]):
        assert merge(batches).rules == [("bitcoin", [a_rule(0, later(1))])]


def test_what_has_no_age_is_as_the_last_one_says() -> None:
    first = Batch(
        post_figures={"Bitcoin": PostFigures(1.0)}, outcomes=[SaveOutcome("Bitcoin", "failed", finished=False)]
    )
    last = Batch(post_figures={"bitcoin": PostFigures(2.0)}, outcomes=[SaveOutcome("bitcoin", "open", finished=True)])
    work = merge([first, last])
    assert work.post_figures == [("bitcoin", PostFigures(2.0))]
    assert work.outcomes == last.outcomes


def test_what_is_counted_is_never_folded() -> None:
    assert len(merge([Batch(proxy=ProxyDelta("a", success_count=1))] * 3).proxies) == 3


def test_a_batch_is_as_long_as_what_it_costs() -> None:
    assert len(Batch()) == 0
    assert not Batch()
    batch = Batch(
        subreddits=[a_subreddit()],
        missing=[("x", NOON)],
        rules={"a": [a_rule(0), a_rule(1)], "b": []},
        posts=[a_post()],
        given_back=["x"],
        released_users=["x"],
        proxy=ProxyDelta("a"),
    )
    assert len(batch) == 10
