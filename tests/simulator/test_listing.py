"""Listings hold few names, newest first, and forget what is pushed out."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.item import Item, Kind
from simulator.listing import Listing, NameList


def item(serial: int, created: float | None = None) -> Item:
    return Item(serial, Kind.COMMENTS, f"t1_{serial}", "Alpha", float(serial) if created is None else created, 0)


def filled(items: list[Item], cap: int = 1000) -> NameList:
    names = NameList(cap)
    for each in items:
        names.insert(each)
    return names


def serials(items: tuple[Item, ...] | list[Item]) -> list[int]:
    return [each.serial for each in items]


def test_newest_page_is_the_newest_items_newest_first() -> None:
    page = Listing([filled([item(n) for n in range(1, 6)])], 1000).newest(3)
    assert serials(page.items) == [5, 4, 3]
    assert (page.after, page.before) == ("t1_3", None)


def test_after_is_null_when_nothing_follows() -> None:
    listing = Listing([filled([item(n) for n in range(1, 6)])], 1000)
    assert listing.newest(5).after is None
    assert listing.newest(4).after == "t1_2"


def test_pages_chained_by_after_cover_the_listing_without_overlap() -> None:
    items = [item(n) for n in range(1, 8)]
    listing, by_name = Listing([filled(items)], 1000), {each.fullname: each for each in items}
    page = listing.newest(3)
    seen = serials(page.items)
    while page.after:
        page = listing.after(by_name[page.after], 3)
        seen += serials(page.items)
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_before_gives_the_names_nearest_to_the_anchor_not_the_newest() -> None:
    items = [item(n) for n in range(1, 8)]
    page = Listing([filled(items)], 1000).before(items[1], 3)
    assert serials(page.items) == [5, 4, 3]
    assert (page.after, page.before) == ("t1_3", "t1_5")


def test_before_the_newest_item_is_an_empty_page() -> None:
    items = [item(n) for n in range(1, 4)]
    page = Listing([filled(items)], 1000).before(items[2], 100)
    assert (page.items, page.after) == ((), None)


def test_an_anchor_that_was_removed_gets_an_empty_page() -> None:
    items = [item(n) for n in range(1, 6)]
    names = filled(items)
    assert names.remove(items[2])
    listing = Listing([names], 1000)
    assert listing.after(items[2], 100).items == ()
    assert listing.before(items[2], 100).items == ()
    assert not names.remove(items[2]), "removing twice says that nothing was there"


def test_an_anchor_that_was_pushed_out_gets_an_empty_page() -> None:
    items = [item(n) for n in range(1, 6)]
    listing = Listing([filled(items, cap=3)], 3)
    assert listing.before(items[1], 100).items == ()
    assert serials(listing.before(items[2], 100).items) == [5, 4]


def test_an_anchor_of_another_listing_gets_an_empty_page() -> None:
    listing = Listing([filled([item(1), item(2)])], 1000)
    assert listing.after(item(3, created=1.5), 100).items == ()
    assert listing.after(None, 100).items == ()


def test_a_late_item_stands_where_its_creation_puts_it() -> None:
    names = filled([item(1), item(2), item(4), item(5)])
    assert names.insert(item(3)) is None
    assert serials(list(names)) == [5, 4, 3, 2, 1]


def test_the_oldest_is_pushed_out_and_does_not_come_back_when_room_is_made() -> None:
    items = [item(n) for n in range(1, 4)]
    names = filled(items, cap=3)
    assert names.insert(item(4)) is items[0]
    names.remove(items[1])
    assert serials(list(names)) == [4, 3]


def test_an_item_too_late_for_a_full_list_never_enters_it() -> None:
    late = item(9, created=0.5)
    names = filled([item(n) for n in range(1, 4)], cap=3)
    assert names.insert(late) is late
    assert late not in names


def test_combined_listing_merges_by_creation_and_is_capped_as_a_whole() -> None:
    odd, even = [item(n) for n in (1, 3, 5, 7)], [item(n) for n in (2, 4, 6, 8)]
    listing = Listing([filled(odd, cap=4), filled(even, cap=4)], cap=4)
    assert serials(listing.newest(100).items) == [8, 7, 6, 5]
    assert listing.newest(100).after is None
    assert serials(listing.after(odd[3], 100).items) == [6, 5]
    assert listing.after(even[1], 100).items == (), "4 is in its own list, but beyond the reach of the combined one"
    assert serials(Listing([filled(even, cap=4)], cap=4).after(even[1], 100).items) == [2]


@given(
    moments=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), max_size=40),
    removed=st.sets(st.integers(0, 39)),
    anchor=st.integers(0, 39),
    limit=st.integers(1, 12),
    cap=st.integers(1, 15),
)
def test_listing_agrees_with_a_plain_sorted_list(
    moments: list[tuple[int, int]], removed: set[int], anchor: int, limit: int, cap: int
) -> None:
    """Whatever the order of arrivals, the caps and the removals: pages are slices of the merged list."""
    items = [item(serial, created=float(moment)) for serial, (moment, _) in enumerate(moments)]
    lists, plain = [NameList(cap) for _ in range(3)], [list[Item]() for _ in range(3)]
    for each, (_, home) in zip(items, moments, strict=True):
        lists[home].insert(each)
        plain[home] = sorted([*plain[home], each], key=lambda other: other.key, reverse=True)[:cap]
    for serial in removed:
        if serial < len(items):
            home = moments[serial][1]
            assert lists[home].remove(items[serial]) == (items[serial] in plain[home])
            plain[home] = [each for each in plain[home] if each is not items[serial]]
    merged = sorted((each for names in plain for each in names), key=lambda other: other.key, reverse=True)[:cap]
    listing = Listing(lists, cap)
    assert list(listing.newest(limit).items) == merged[:limit]
    if anchor < len(items) and items[anchor] in merged:
        place = merged.index(items[anchor])
        after, before = listing.after(items[anchor], limit), listing.before(items[anchor], limit)
        assert list(after.items) == merged[place + 1 :][:limit]
        assert (after.after is not None) == (len(merged) > place + 1 + limit)
        assert list(before.items) == merged[:place][-limit:]
    elif anchor < len(items):
        assert listing.after(items[anchor], limit).items == listing.before(items[anchor], limit).items == ()
