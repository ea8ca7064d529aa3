"""From observations to a statement: what is counted, on which draws it rests, and what is said with too few."""

from collections.abc import Iterable, Iterator

import pytest

from core.status.audit_bound import AuditReport, Outcomes, added_up, bound_of, report
from core.status.audit_sentence import items, sentence, share
from core.status.audit_store import Observation, Outcome
from core.status.confidence_bound import betting, clopper_pearson

NINE = 1_700_000_000.0


def seen(
    source: str, clusters: int, of_each: int = 1, outcome: str = "found", *, stream: str = "comments"
) -> Iterator[Observation]:
    for number in range(clusters):
        cluster = f"{source}-{outcome}-{number}"
        for _ in range(of_each):
            yield Observation(source, stream, cluster, NINE + number, "Bitcoin", outcome)


def made(*parts: Iterable[Observation], streams: Iterable[str] = ()) -> AuditReport:
    return report(added_up(one for part in parts for one in part), streams)


@pytest.mark.parametrize(("sampled", "at_most"), [(1000, 0.0030), (3000, 0.0010)])
def test_none_missing_of_independent_items(sampled: int, at_most: float) -> None:
    found = made(seen("ids", sampled, stream="submissions"))
    assert round(found.at_most, 4) == at_most
    assert found.streams["submissions"].draws == sampled


def test_the_document_has_the_documented_keys() -> None:
    found = made(
        seen("trees", 300, 3),
        seen("trees", 2, 1, "missing"),
        seen("trees", 4, 1, "missing_in_gap"),
        seen("trees", 5, 1, "removed_first"),
        seen("listing", 20),
        seen("ids", 400, stream="submissions"),
    ).document()
    assert (found["since"], found["until"]) == (NINE, NINE + 399)
    assert found["sampled"] == 900 + 2 + 4 + 5 + 20 + 400
    assert found["sampled"] == sum(found[one] for one in ("found", "missing", "missing_in_gaps", "removed_first"))
    assert (found["missing"], found["missing_in_gaps"], found["removed_first"]) == (2, 4, 5)
    assert found["confidence"] == 0.95
    assert found["sources"] == {
        "trees": {"sampled": 911, "missing": 2},
        "listing": {"sampled": 20, "missing": 0},
        "ids": {"sampled": 400, "missing": 0},
    }
    assert found["at_most"] == found["streams"]["comments"]["at_most"] == betting({0.0: 300, 1.0: 2})


def test_a_cluster_is_one_draw_whatever_its_size() -> None:
    small, large = made(seen("trees", 100, 2)), made(seen("trees", 100, 50))
    assert small.at_most == large.at_most == betting({0.0: 100})
    assert large.outcomes.sampled == 5000


def test_items_in_gaps_and_removed_items_are_no_evidence() -> None:
    plain = made(seen("ids", 100))
    more = made(seen("ids", 100), seen("ids", 500, 1, "missing_in_gap"), seen("ids", 500, 1, "removed_first"))
    assert more.at_most == plain.at_most
    assert made(seen("ids", 500, 1, "removed_first")).at_most == 1.0


def test_where_something_is_missing_the_exact_bound_has_a_margin() -> None:
    found = made(seen("ids", 995), seen("ids", 5, 1, "missing"))
    assert found.at_most == clopper_pearson(5, 1000, 0.99) > clopper_pearson(5, 1000)


def test_the_largest_bound_of_the_streams_holds_for_all_of_them() -> None:
    found = made(seen("trees", 100, 2), seen("ids", 2000, stream="submissions"))
    assert found.at_most == found.streams["comments"].at_most > found.streams["submissions"].at_most
    assert "of the comments and posts created" in sentence(found)


def test_a_stream_without_a_sample_is_not_in_the_statement() -> None:
    found = made(seen("ids", 1000, stream="submissions"), streams=("submissions", "comments"))
    assert found.at_most == clopper_pearson(0, 1000)
    assert found.streams["comments"].at_most == 1.0
    assert "of the posts created" in sentence(found)


def test_what_reddit_lists_does_not_dilute_what_other_sources_find() -> None:
    trees = [*seen("trees", 190, 2), *seen("trees", 10, 2, "missing")]
    found = made(trees, seen("listing", 20_000))
    assert found.at_most == made(trees).at_most
    assert found.streams["comments"].rests_on == ("trees",)


@pytest.mark.parametrize(
    ("trees", "missing", "listed", "rests_on"),
    [
        (0, 0, 400, "listing"),
        (9, 0, 400, "listing"),
        (9, 0, 3, "trees"),
        (9, 1, 400, "trees"),
        (10, 0, 400, "trees"),
        (50, 20, 400, "trees"),
    ],
)
def test_a_listing_decides_only_where_the_others_brought_nearly_nothing(
    trees: int, missing: int, listed: int, rests_on: str
) -> None:
    found = made(seen("trees", trees - missing, 2), seen("trees", missing, 2, "missing"), seen("listing", listed))
    assert found.streams["comments"].rests_on == (rests_on,)
    assert sentence(found).endswith(" Of comments, this covers what Reddit lists.") is (rests_on == "listing")


def test_a_listing_that_shows_more_missing_than_the_others_allow_decides() -> None:
    trees = list(seen("trees", 1000, 2))
    few = made(trees, seen("listing", 30), seen("listing", 20, 1, "missing"))
    assert few.at_most == made(trees).at_most, "of 50 draws nothing follows"
    many = made(trees, seen("listing", 180), seen("listing", 20, 1, "missing"))
    assert many.streams["comments"].rests_on == ("listing",)
    assert many.at_most > 0.1


def test_a_cluster_is_added_up_from_all_its_observations() -> None:
    mixed = [
        Observation("trees", "comments", "t3_a", NINE, "Bitcoin", outcome)
        for outcome in (*["found"] * 3, "missing", "removed_first")
    ]
    (found,) = added_up(mixed).values()
    assert found.clusters == {("trees", Outcomes(3, 1, 0, 1)): 1}
    assert found.subreddits == {"Bitcoin": Outcomes(3, 1, 0, 1)}
    assert bound_of(found).draws == 1


def test_each_outcome_of_the_store_is_counted_in_its_place() -> None:
    assert [Outcomes.of(one).sampled for one in Outcome] == [1, 1, 1, 1]
    assert [tuple(Outcomes.of(one)).index(1) for one in Outcome] == [0, 1, 2, 3]


def test_without_observations_nothing_is_claimed() -> None:
    found = report({}, ("submissions", "comments"))
    assert (found.at_most, found.since, found.until, found.outcomes.sampled) == (1.0, None, None, 0)
    assert sentence(found) == "Nothing is known: no item has been sampled."
    assert found.document()["sources"] == {}


def test_the_sentence_says_it_all() -> None:
    found = made(seen("ids", 998, stream="submissions"), seen("ids", 2, 1, "missing", stream="submissions"))
    assert sentence(found) == (
        "At most 0.84 % of the posts created between 2023-11-14T22:13:20Z and 2023-11-14T22:29:57Z are missing "
        "outside the recorded gaps, with 95 % confidence: 1,000 sampled, 2 missing."
    )


@pytest.mark.parametrize(("draws", "enough"), [(58, False), (59, True)])
def test_too_few_samples_are_called_so(draws: int, enough: bool) -> None:
    found = made(seen("ids", draws))
    assert sentence(found).startswith("At most" if enough else "Too few samples for a useful statement: ")
    assert (found.at_most < 0.05) is enough


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.002991, "0.30 %"),
        (0.000998, "0.10 %"),
        (0.0123, "1.3 %"),
        (0.1011, "11 %"),
        (0.000012, "0.0012 %"),
        (0.95, "95 %"),
        (1.0, "100 %"),
        (0.9951, "100 %"),
    ],
)
def test_a_bound_is_rounded_up(value: float, text: str) -> None:
    assert share(value) == text


def test_items_are_called_as_people_call_them() -> None:
    assert items(["submissions"]) == "posts"
    assert items(["submissions", "comments"]) == "posts and comments"
    assert items([]) == "items"
