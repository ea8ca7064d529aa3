"""The walk step by step: where it asks next, and when it believes that it is done."""

from collections.abc import Iterable

import pytest

from streams.capture.walk import MOST_EXTRA_PAGES, Walk, WalkOutcome
from streams.reddit.listing_page import Item, Page, Reject

TOP = 1000


def page(numbers: Iterable[int], *, more: bool = True, subreddit: str = "a") -> Page:
    """Return a page of items n, n-1, …, made at the second n."""
    items = tuple(Item(f"n{n}", f"n{n}", subreddit, float(n), {}) for n in numbers)
    return Page(items, items[-1].name if more and items else None)


EMPTY = page([])


def run(walk: Walk, *pages: Page) -> WalkOutcome | None:
    for one in pages:
        assert walk.outcome is None, "it was over already"
        walk.take(one)
    return walk.outcome


def below(number: int) -> Walk:
    return Walk(proven=lambda name: int(name[1:]) < number)


def test_it_pages_on_until_the_foot_of_a_page_is_proven() -> None:
    walk = below(850)
    assert walk.next_after() is None
    assert run(walk, page(range(1000, 900, -1))) is None
    assert walk.next_after() == "n901"
    assert run(walk, page(range(900, 800, -1))) is WalkOutcome.MET


def test_a_known_name_above_the_foot_ends_nothing() -> None:
    walk = Walk(proven=lambda name: name == "n950")
    assert run(walk, page(range(1000, 900, -1))) is None


def test_the_listing_may_end_first() -> None:
    assert run(below(0), page(range(1000, 900, -1)), page(range(900, 850, -1), more=False)) is WalkOutcome.ENDED


def test_an_empty_page_is_not_the_end() -> None:
    """The anchor was removed: the name before it is tried, and the page found from there goes on."""
    walk = below(850)
    run(walk, page(range(1000, 900, -1)), EMPTY)
    assert walk.outcome is None
    assert walk.next_after() == "n902"
    assert run(walk, EMPTY) is None
    assert walk.next_after() == "n903"
    assert run(walk, page(range(902, 802, -1))) is WalkOutcome.MET


def test_when_all_anchors_are_gone_nothing_is_proven() -> None:
    walk = below(0)
    run(walk, page(range(1000, 900, -1)))
    tried = []
    while walk.outcome is None:
        tried.append(walk.next_after())
        walk.take(EMPTY)
    assert walk.outcome is WalkOutcome.STALE
    assert tried[0] == "n901"
    assert tried[-1] == "n1000"


def test_an_empty_top_is_believed_the_third_time() -> None:
    walk = below(0)
    assert run(walk, EMPTY, EMPTY) is None
    assert run(walk, EMPTY) is WalkOutcome.ENDED
    assert walk.items == 0


def test_old_items_at_the_foot_are_met() -> None:
    walk = Walk(proven=lambda _: False, horizon=903.5)
    assert run(walk, page(range(1000, 900, -1))) is WalkOutcome.MET


@pytest.mark.parametrize("horizon", [901.5, 902.5])
def test_one_or_two_old_dates_prove_nothing(horizon: float) -> None:
    assert run(Walk(proven=lambda _: False, horizon=horizon), page(range(1000, 900, -1))) is None


def test_a_page_without_order_proves_nothing_by_dates() -> None:
    order = [n for pair in zip(range(1000, 900, -1), range(100, 0, -1), strict=True) for n in pair][:100]
    assert run(Walk(proven=lambda _: False, horizon=500.0), page([*order[:97], 5, 4, 3])) is None


def test_a_server_that_never_ends_ends_nevertheless() -> None:
    walk = Walk(proven=lambda _: False)
    number = 10**6
    while walk.outcome is None:
        walk.take(page(range(number, number - 100, -1)))
        number -= 100
        assert walk.pages < 1000


def test_a_server_that_repeats_itself_ends_the_walk() -> None:
    walk = Walk(proven=lambda _: False)
    while walk.outcome is None:
        walk.take(page(range(1000, 900, -1)))
        assert walk.pages < 30


def test_a_subreddit_that_brought_a_page_and_nothing_proven_is_suspect() -> None:
    """Its own list may have overflowed: what is proven of others below its last name says nothing about it."""
    old = page(range(500, 480, -1), subreddit="quiet")
    new = page(range(1000, 890, -1), subreddit="busy")
    walk = below(600)
    assert run(walk, Page(new.items + old.items, old.after)) is None
    assert run(walk, page(range(480, 460, -1), subreddit="quiet", more=False)) is WalkOutcome.ENDED
    assert max(walk.foot) >= 891, "a gap reaches up to the last name that the busy one still shows"


def test_a_busy_subreddit_is_proven_by_an_item_of_its_own() -> None:
    new = page(range(1000, 890, -1), subreddit="busy")
    old = page([500], subreddit="quiet")
    own = page([450], subreddit="busy")
    assert run(below(600), Page(new.items + own.items + old.items, old.after)) is WalkOutcome.MET


def test_a_page_of_foreign_things_only_is_passed() -> None:
    walk = below(850)
    run(walk, page(range(1000, 900, -1)), Page((), "n880"))
    assert walk.next_after() == "n880"
    assert run(walk, page(range(879, 830, -1))) is WalkOutcome.MET


def test_a_repeated_anchor_under_an_empty_page_does_not_hold_the_walk() -> None:
    walk = below(850)
    run(walk, page(range(1000, 900, -1)), Page((), "n880"), Page((), "n880"))
    assert walk.outcome is WalkOutcome.STALE


def test_a_small_page_ends_nothing_by_its_dates() -> None:
    """One odd date at the foot proves nothing: at least three items must be old."""
    walk = Walk(proven=lambda _name: False, horizon=5000.0)
    assert run(walk, page([1000])) is None


def test_an_item_above_the_ceiling_proves_nothing() -> None:
    walk = Walk(proven=lambda _name: True, ceiling=950.0)
    assert run(walk, page(range(1000, 960, -1))) is None
    assert run(walk, page(range(960, 940, -1))) is WalkOutcome.MET


NAMELESS = Item("#5a", "", "a", 900.0, {})


def test_an_entry_without_a_name_is_never_met_and_is_no_anchor() -> None:
    walk = Walk(proven=lambda name: name == "#5a")
    items = page(range(1000, 990, -1)).items
    assert run(walk, Page((*items, NAMELESS), "n991")) is None
    assert walk.next_after() == "n991"


def test_a_page_without_any_name_ends_no_listing() -> None:
    assert run(Walk(proven=lambda _name: False), Page((NAMELESS,), None)) is WalkOutcome.UNREADABLE
    walk = Walk(proven=lambda _name: False)
    run(walk, Page((NAMELESS,), "n900"))
    assert walk.next_after() == "n900"


def test_a_page_of_nothing_but_rejects_ends_no_listing() -> None:
    assert (
        run(Walk(proven=lambda _name: False), Page((), None, (Reject("kind 't5'", b"{}"),))) is WalkOutcome.UNREADABLE
    )


def test_a_listing_that_seems_short_is_looked_at_again_when_it_took_several_pages() -> None:
    walk = Walk(proven=lambda _: False)
    walk.take(page(range(100, 90, -1)))
    walk.take(page(range(90, 80, -1), more=False))
    assert walk.outcome is None
    assert walk.next_after() is None
    walk.take(page(range(102, 92, -1)))
    assert walk.outcome is WalkOutcome.ENDED
    assert walk.whole


@pytest.mark.parametrize("top", [range(300, 290, -1), range(0)])
def test_a_listing_that_moved_on_while_it_was_read_is_not_whole(top: range) -> None:
    walk = Walk(proven=lambda _: False)
    walk.take(page(range(100, 90, -1)))
    walk.take(page(range(90, 80, -1), more=False))
    walk.take(page(top))
    assert walk.outcome is WalkOutcome.ENDED
    assert not walk.whole


def met(*pages: Page, reach: float) -> Walk:
    """Return a walk that meets what is proven (below 960) on its first page."""
    walk = Walk(proven=lambda name: int(name[1:]) < 960, reach=reach)
    run(walk, *pages)
    return walk


def test_a_walk_that_has_met_what_is_proven_reads_on_for_late_items() -> None:
    walk = met(page(range(1000, 900, -1)), reach=850.0)
    assert walk.outcome is None
    assert walk.has_met
    assert walk.next_after() == "n901"
    assert run(walk, page(range(900, 800, -1))) is WalkOutcome.MET
    assert max(walk.foot) < 850.0
    assert met(page(range(1000, 900, -1)), reach=950.0).outcome is WalkOutcome.MET, "the first page reaches that far"


@pytest.mark.parametrize(
    "lower",
    [EMPTY, page(range(900, 890, -1), more=False), Page((), None, (Reject("odd", b"{}"),)), page([])],
    ids=["empty", "end", "unreadable", "nothing"],
)
def test_what_follows_below_changes_nothing_for_a_walk_that_has_met(lower: Page) -> None:
    walk = met(page(range(1000, 900, -1)), reach=0.0)
    assert run(walk, lower) is WalkOutcome.MET


def test_a_walk_reads_on_for_a_few_pages_only() -> None:
    walk, pages = met(reach=-1.0), 0
    while walk.outcome is None:
        walk.take(page(range(1000 - 100 * pages, 900 - 100 * pages, -1)))
        pages += 1
    assert (walk.outcome, pages) == (WalkOutcome.MET, 1 + MOST_EXTRA_PAGES)


def test_a_page_out_of_order_shows_no_depth() -> None:
    mixed = page([n if n % 2 else n + 500 for n in range(1000, 900, -1)])
    assert met(mixed, reach=0.0).outcome is WalkOutcome.MET
