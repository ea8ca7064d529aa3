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

#: A source that sees only what Reddit lists; see `_basis`.
LISTING = "listing"

#: Fewer draws cannot show that less than 5 % is missing: the statement says so.
ENOUGH_DRAWS = 59

#: A source that was given up after fewer draws does not count, if nothing was missing in them.
FEW_DRAWS = 10

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
        """The number of items that should be there."""
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
    def only_listed(self) -> bool:
        """Whether it covers only what Reddit lists."""
        return self.rests_on == (LISTING,)


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
    total = Outcomes()
    for (source, outcomes), count in observed.clusters.items():
        sources[source] = sources.get(source, Outcomes()).plus(outcomes, count)
        total = total.plus(outcomes, count)
    basis = _basis(_Draws.of(observed, listed=False), _Draws.of(observed, listed=True))
    return StreamBound(
        total,
        sources,
        basis.number,
        basis.sources,
        basis.at_most,
        observed.since,
        observed.until,
        observed.subreddits,
    )


def report(observed: Mapping[str, StreamObservations], streams: Iterable[str] = ()) -> AuditReport:
    """Return the statement; `streams` without observations are in it too, as streams without a sample."""
    names = dict.fromkeys((*streams, *observed))
    return AuditReport({name: bound_of(observed.get(name, StreamObservations())) for name in names})


@dataclass(frozen=True, slots=True)
class _Draws:
    """The clusters of some sources that have an item that should be there, each with how many are like it."""

    clusters: tuple[tuple[Outcomes, int], ...]
    sources: tuple[str, ...]

    @classmethod
    def of(cls, observed: StreamObservations, *, listed: bool) -> "_Draws":
        """Choose those of the listings, or those of all other sources."""
        chosen = [
            (source, outcomes, count)
            for (source, outcomes), count in observed.clusters.items()
            if outcomes.expected and (source == LISTING) is listed
        ]
        names = sorted({source for source, _, _ in chosen})
        return cls(tuple((outcomes, count) for _, outcomes, count in chosen), tuple(names))

    @property
    def number(self) -> int:
        return sum(count for _, count in self.clusters)

    @property
    def enough(self) -> bool:
        return self.number >= ENOUGH_DRAWS

    @property
    def shares(self) -> Counter[float]:
        """The missing share of each cluster."""
        shares: Counter[float] = Counter()
        for outcomes, count in self.clusters:
            shares[outcomes.missing / outcomes.expected] += count
        return shares

    @property
    def missing(self) -> float:
        """The missing share of the sample."""
        return sum(share * count for share, count in self.shares.items()) / max(1, self.number)

    @property
    def at_most(self) -> float:
        """The bound."""
        if any(outcomes.expected > 1 for outcomes, _ in self.clusters):
            return betting(self.shares)
        missing = sum(outcomes.missing * count for outcomes, count in self.clusters)
        return clopper_pearson(missing, self.number, _WHERE_SOME_ARE_MISSING if missing else CONFIDENCE)


def _basis(independent: _Draws, listed: _Draws) -> _Draws:
    """Return the draws on which the statement rests.

    A listing does not show what Reddit never listed, so its items would dilute what the other sources find. It decides
    where these have brought nearly nothing (the text says that the statement covers what Reddit lists), and where it
    shows that more is missing than they allow, which can only make the bound larger.
    """
    if independent.number < FEW_DRAWS and not independent.missing and listed.number > independent.number:
        return listed
    if listed.enough and listed.missing > independent.at_most:
        return listed
    return independent
