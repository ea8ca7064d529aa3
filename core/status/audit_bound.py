"""Turns the audit's observations into a statement: at most what share of the items is missing. Pure.

The statement counts items that should be there: created outside the ledger's gaps, and not removed before they could be
captured. What is missing in a gap, and what was removed first, is reported apart.

Losses cluster: the comments of a tree, or the items of a page, are missing together. So a cluster is one draw, a
variable between 0 and 1 (the share of its sampled items that is missing), however many items it has. Where every
draw is one item, the bound is the exact one of the binomial distribution; otherwise it is a bound for any distribution
(core.status.confidence_bound). It is one for the share of items, and not of clusters, because the audit draws
a cluster with a probability proportional to its size (streams.audit): a comment in a large tree has the same chance
as one in a small tree.

Streams are strata: the total share is at most that of the stream that lacks most, so the largest of the streams' bounds
holds for all of them together, with the same confidence.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from core.status.audit_store import Observation, Outcome
from core.status.confidence_bound import CONFIDENCE, betting, clopper_pearson

#: A source that sees only what Reddit lists. The statement rests on it only where no other one has a sample.
LISTING = "listing"

#: Fewer draws cannot show that less than 5 % is missing: the statement says so.
ENOUGH_DRAWS = 59

#: An exact bound is wrong in five of a hundred audits on average, so in more than five of every second hundred. Where
#: something is missing, the binomial bound is computed with this confidence, so that nearly every hundred has 95 right.
_WHERE_SOME_ARE_MISSING = 0.99


_IN_ORDER = (Outcome.FOUND, Outcome.MISSING, Outcome.MISSING_IN_GAP, Outcome.REMOVED_FIRST)


class Outcomes(NamedTuple):
    """Numbers of sampled items by their outcome."""

    found: int = 0
    missing: int = 0
    missing_in_gaps: int = 0
    removed_first: int = 0

    @property
    def sampled(self) -> int:
        """All of them."""
        return sum(self)

    @property
    def expected(self) -> int:
        """Those that should be there."""
        return self.found + self.missing

    def plus(self, other: "Outcomes", times: int = 1) -> "Outcomes":
        """Add the other's numbers, so many times."""
        return Outcomes(*(mine + times * theirs for mine, theirs in zip(self, other, strict=True)))

    @classmethod
    def of(cls, outcome: str) -> "Outcomes":
        """Return one item with this outcome."""
        return cls(*(int(outcome == one) for one in _IN_ORDER))


@dataclass(frozen=True, slots=True)
class StreamObservations:
    """The observations of one stream, added up: as much as the statement needs, in a few numbers.

    Attributes:
        clusters: how many clusters of a source have these outcomes.
        subreddits: the outcomes of each subreddit.
        since: created_utc of the oldest item; None without one.
        until: created_utc of the newest item.
    """

    clusters: Mapping[tuple[str, Outcomes], int] = field(default_factory=dict)
    subreddits: Mapping[str, Outcomes] = field(default_factory=dict)
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class StreamBound:
    """The statement about one stream.

    Attributes:
        outcomes: of its whole sample.
        sources: the outcomes by source.
        draws: the independent draws on which the bound rests.
        rests_on: the sources of these draws; empty: no sample.
        at_most: the share that is missing at most.
        since: created_utc of the oldest sampled item; None without one.
        until: created_utc of the newest sampled item.
        subreddits: the outcomes of each sampled subreddit.
    """

    outcomes: Outcomes = field(default_factory=Outcomes)
    sources: Mapping[str, Outcomes] = field(default_factory=dict)
    draws: int = 0
    rests_on: tuple[str, ...] = ()
    at_most: float = 1.0
    since: float | None = None
    until: float | None = None
    subreddits: Mapping[str, Outcomes] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Whether the bound says anything useful."""
        return self.draws >= ENOUGH_DRAWS


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The statement about all audited streams, by the name of the stream."""

    streams: Mapping[str, StreamBound] = field(default_factory=dict)

    @property
    def sampled(self) -> dict[str, StreamBound]:
        """The streams with a sample: the statement is about these."""
        return {name: bound for name, bound in self.streams.items() if bound.draws}

    @property
    def outcomes(self) -> Outcomes:
        """All outcomes."""
        total = Outcomes()
        for bound in self.streams.values():
            total = total.plus(bound.outcomes)
        return total

    @property
    def sources(self) -> dict[str, Outcomes]:
        """The outcomes by source, of all streams."""
        total: dict[str, Outcomes] = {}
        for bound in self.streams.values():
            for source, outcomes in bound.sources.items():
                total[source] = total.get(source, Outcomes()).plus(outcomes)
        return total

    @property
    def at_most(self) -> float:
        """The share of the sampled streams' items that is missing at most; 1: nothing is known."""
        return max((bound.at_most for bound in self.sampled.values()), default=1.0)

    @property
    def draws(self) -> int:
        """The draws of the stream with the fewest: what the statement rests on."""
        return min((bound.draws for bound in self.sampled.values()), default=0)

    @property
    def since(self) -> float | None:
        """created_utc of the oldest sampled item; None without one."""
        return min((bound.since for bound in self.streams.values() if bound.since is not None), default=None)

    @property
    def until(self) -> float | None:
        """created_utc of the newest sampled item; None without one."""
        return max((bound.until for bound in self.streams.values() if bound.until is not None), default=None)

    def document(self) -> dict[str, Any]:
        """Return the documented form: the output of `audit --json`, and `audit` of COMPLETENESS.json."""
        outcomes = self.outcomes
        return {
            "since": self.since,
            "until": self.until,
            "sampled": outcomes.sampled,
            **outcomes._asdict(),
            "at_most": self.at_most,
            "confidence": CONFIDENCE,
            "sources": {name: _sampled(one) for name, one in self.sources.items()},
            "streams": {
                name: {
                    **_sampled(bound.outcomes),
                    "at_most": bound.at_most,
                    "draws": bound.draws,
                    "rests_on": list(bound.rests_on),
                }
                for name, bound in self.streams.items()
            },
        }


def _sampled(outcomes: Outcomes) -> dict[str, int]:
    return {"sampled": outcomes.sampled, "missing": outcomes.missing}


def added_up(observations: Iterable[Observation]) -> dict[str, StreamObservations]:
    """Add up single observations, for each stream."""
    clusters: defaultdict[str, dict[tuple[str, str], Outcomes]] = defaultdict(dict)
    subreddits: defaultdict[str, dict[str, Outcomes]] = defaultdict(dict)
    moments: defaultdict[str, list[float]] = defaultdict(list)
    for one in observations:
        outcomes, key = Outcomes.of(one.outcome), (one.source, one.cluster)
        clusters[one.stream][key] = clusters[one.stream].get(key, Outcomes()).plus(outcomes)
        names = subreddits[one.stream]
        names[one.subreddit] = names.get(one.subreddit, Outcomes()).plus(outcomes)
        moments[one.stream].append(one.at)
    return {
        stream: StreamObservations(
            Counter((source, outcomes) for (source, _), outcomes in found.items()),
            subreddits[stream],
            min(moments[stream]),
            max(moments[stream]),
        )
        for stream, found in clusters.items()
    }


def bound_of(observed: StreamObservations) -> StreamBound:
    """Return the statement about one stream."""
    sources: dict[str, Outcomes] = {}
    for (source, outcomes), count in observed.clusters.items():
        sources[source] = sources.get(source, Outcomes()).plus(outcomes, count)
    rests_on = _basis(observed)
    draws = [
        (outcomes, count)
        for (source, outcomes), count in observed.clusters.items()
        if source in rests_on and outcomes.expected
    ]
    number = sum(count for _, count in draws)
    total = Outcomes()
    for outcomes in sources.values():
        total = total.plus(outcomes)
    return StreamBound(
        total,
        sources,
        number,
        rests_on if number else (),
        _at_most(draws),
        observed.since,
        observed.until,
        observed.subreddits,
    )


def report(observed: Mapping[str, StreamObservations], streams: Iterable[str] = ()) -> AuditReport:
    """Return the statement; `streams` without observations are in it too, as streams without a sample."""
    names = dict.fromkeys((*streams, *observed))
    return AuditReport({name: bound_of(observed.get(name, StreamObservations())) for name in names})


def _basis(observed: StreamObservations) -> tuple[str, ...]:
    """Return the sources on which the statement rests; chosen by the size of the samples, never by their outcomes.

    A listing does not show what Reddit never listed, so its items would dilute what the other sources find.
    """
    draws: Counter[str] = Counter()
    for (source, outcomes), count in observed.clusters.items():
        draws[source] += count if outcomes.expected else 0
    known = sorted(source for source, count in draws.items() if count)
    independent = tuple(source for source in known if source != LISTING)
    if independent and (sum(draws[one] for one in independent) >= ENOUGH_DRAWS or LISTING not in known):
        return independent
    return (LISTING,) if draws[LISTING] > sum(draws[one] for one in independent) else independent


def _at_most(draws: Iterable[tuple[Outcomes, int]]) -> float:
    """Return the bound for these clusters, each with the number of clusters that are like it."""
    known = list(draws)
    if all(outcomes.expected == 1 for outcomes, _ in known):
        missing = sum(outcomes.missing * count for outcomes, count in known)
        confidence = _WHERE_SOME_ARE_MISSING if missing else CONFIDENCE
        return clopper_pearson(missing, sum(count for _, count in known), confidence)
    shares: Counter[float] = Counter()
    for outcomes, count in known:
        shares[outcomes.missing / outcomes.expected] += count
    return betting(shares)
