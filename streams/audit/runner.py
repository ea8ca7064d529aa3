"""Runs the audit of one stream, a request at a time: for the background audit and for the command `audit`.

It reads the state files only; what it finds missing goes to the process of the stream (streams.audit.found_files).
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random, SystemRandom
from typing import Any

import structlog

from core.cluster.shards import shard_of
from core.config.slices import StreamConfig
from core.reddit.request_errors import QuotaShort, RateLimited, RequestRejected, Unavailable
from core.spool import SpoolReader
from core.spool.name_index import NameIndex
from core.status.audit_store import AuditStore, Judged, Outcome
from streams.audit.audit_scope import Scope, is_emptied
from streams.audit.drawing import Ask, info
from streams.audit.found_files import Finding, write_finding
from streams.audit.sources import Rotation, Sample, Source, sources_of
from streams.reddit.listing_page import PAGE_SIZE, Item, parse_page

#: What is known of the stream is read again after this time, seconds.
_SCOPE_S = 4.0

#: Clocks and whole seconds: an item is in the index only if it was created this long after its beginning, seconds.
_EDGE_S = 5.0


@dataclass(frozen=True, slots=True)
class Ages:
    """What is old enough to be looked at, seconds."""

    item: float = 600.0  #: the youngest item that is judged
    post: float = 3600.0  #: the youngest post whose tree is read
    confirm: float = 15.0  #: from the first to the second look at a missing item


@dataclass(frozen=True, slots=True)
class _Asked:
    ask: Ask
    take: Callable[[object, Scope], None]


@dataclass(slots=True)
class AuditRunner:
    """The audit of one stream. Not for several threads.

    Args:
        config: of the stream.
        get: sends a request and returns the decoded answer; raises this project's errors.
        log: for what is found.
        ages: what is old enough.
        clock: epoch seconds.
        random: draws the samples; its seed must not be known to anyone who hides items.
    """

    config: StreamConfig
    get: Callable[[str, dict[str, str | int]], object]
    log: structlog.stdlib.BoundLogger
    ages: Ages = field(default_factory=Ages)
    clock: Callable[[], float] = time.time
    random: Random = field(default_factory=SystemRandom)
    store: AuditStore = field(init=False)
    _index: NameIndex = field(init=False)
    _sources: Rotation = field(init=False)
    #: why sources are not used, as recorded
    _said: dict[str, str] = field(default_factory=dict)
    _asked: _Asked | None = None
    _known: Scope = field(default_factory=Scope)
    _read_at: float = float("-inf")

    def __post_init__(self) -> None:
        config = self.config
        config.state_dir.mkdir(parents=True, exist_ok=True)
        self.store = AuditStore(config.state_dir, config.stream, self.clock)
        self._index = NameIndex(config.state_dir, config.stream)
        open_index = partial(NameIndex, config.state_dir)
        self._sources = sources_of(config.stream, config.subreddits, open_index, self.random, self.ages.post)

    def step(self) -> bool:
        """Send one request and process its answer; return whether there was one to send.

        Raises TransientError, CredentialsRejected, Stopped, sqlite3.Error and OSError; a request that the quota did not
        allow is sent by the next call.
        """
        scope = self.scope()
        asked = self._asked or self._next(scope)
        self._asked = None
        if asked is None:
            return False
        try:
            answer = self.get(*asked.ask)
        except (QuotaShort, RateLimited):
            self._asked = asked
            raise
        except (Unavailable, RequestRejected) as error:
            self.log.debug("audit_not_answered", path=asked.ask.path, error=str(error))
            self.store.count("audit_requests")
            return True
        self.store.count("audit_requests")
        asked.take(answer, scope)
        return True

    def second_look(self) -> bool:
        """Do the same only for items that wait for their second look."""
        if self._asked is None and not self.store.pending(self.clock() - self.ages.confirm, 1):
            return False
        return self.step()

    def scope(self) -> Scope:
        """Return what can be judged now."""
        now = self.clock()
        if not 0.0 <= now - self._read_at < _SCOPE_S:
            self.renew()
            self._known, self._read_at = self._read_scope(now), now
        return self._known

    def renew(self, error: BaseException | None = None) -> None:
        """Open the file of the observations again if it was deleted, replaced or, by this error, is broken."""
        if self.store.renew(error):
            self._said.clear()

    def _read_scope(self, now: float) -> Scope:
        config, start = self.config, self._index.start()
        reader = SpoolReader.open(config.state_dir, config.stream)
        if reader is None or start is None:
            return Scope()
        with contextlib.closing(reader):
            state = reader.stream_state()  # before the gaps: a gap in between hides time, and claims none
            gaps = reader.gaps()
        offset = state.clock_offset or 0.0
        present = {name.lower(): "" for name in config.subreddits}
        if config.cluster is not None:
            shards = {name: shard_of(name, config.cluster.shards) for name in present}
            present = {name: state.shards[shard].term for name, shard in shards.items() if shard in state.shards}
        present = {name: term for name, term in present.items() if name in state.proven_until}
        since = self.store.scope(present, now + offset)
        earliest = start + offset + _EDGE_S
        since = {name: max(moment, earliest) for name, moment in since.items()}
        return Scope.of(since, state.proven_until, gaps, now + offset - self.ages.item)

    def _next(self, scope: Scope) -> _Asked | None:
        pending = self.store.pending(self.clock() - self.ages.confirm, PAGE_SIZE)
        if pending:
            return _Asked(info([one.name for one in pending]), partial(self._confirm, pending))
        found = self._sources.next(scope)
        self._note_sources()
        if found is None:
            return None
        source, ask = found
        return _Asked(ask, partial(self._sample, source))

    def _note_sources(self) -> None:
        """Record the sources that are not used now, and why."""
        for source in self._sources.sources:
            if self._said.get(source.name) != source.why:
                self._said[source.name] = source.why
                self.store.set_source(source.name, source.why)
                if source.why:
                    self.log.info("audit_source_unused", stream=self.config.stream, source=source.name, why=source.why)

    @property
    def unused(self) -> dict[str, str]:
        """The sources that are not used now, each with the reason."""
        return {source.name: source.why for source in self._sources.sources if source.why}

    def _sample(self, source: Source, answer: object, scope: Scope) -> None:
        sample: Sample = source.take(answer, scope)
        clusters = {item.name: cluster for item, cluster in sample.clusters}
        items = {item.name: item for item in sample.items}
        unknown = self._unknown({name: item.created or 0.0 for name, item in items.items()})
        missing = [items[name] for name in unknown if name in clusters or not is_emptied(items[name].data)]

        def judged(item: Item) -> Judged:
            cluster = clusters.get(item.name)
            name = "" if cluster is None else source.name
            return Judged(item.fullname, name, cluster or "", item.created or 0.0, item.subreddit)

        missed = frozenset(unknown)
        found = [judged(items[name]) for name in clusters if name not in missed]
        if found or missing:
            self.store.add(found, [judged(item) for item in missing])

    def _unknown(self, names: Mapping[str, float]) -> list[str]:
        """Return those of the names, each with its creation, that were not captured."""
        unknown = self._index.unknown(names) if names else []
        reader = SpoolReader.open(self.config.state_dir, self.config.stream) if unknown else None
        if reader is None:
            return unknown
        with contextlib.closing(reader):
            return reader.unknown_names(unknown)

    def _confirm(self, pending: Sequence[Judged], answer: object, scope: Scope) -> None:
        """Look at missing items again, and hand over those that are still missing."""
        items = {item.fullname: item for item in parse_page(answer, self.config.stream).items}
        unknown = frozenset(self._unknown({one.name: one.created for one in pending}))
        outcomes = [(one, self._outcome(one, items.get(one.name), scope, unknown)) for one in pending]
        for in_gaps in (False, True):
            wanted = Outcome.MISSING_IN_GAP if in_gaps else Outcome.MISSING
            names = {one.name: None for one, outcome in outcomes if outcome is wanted and one.name in items}
            served = [items[name].data for name in names]
            self._hand_over([data for data in served if not is_emptied(data)], in_gaps=in_gaps)
        own = self.store.conclude(outcomes)
        self._report([one for one, outcome in own if outcome is Outcome.MISSING])

    def _outcome(self, one: Judged, item: Item | None, scope: Scope, unknown: frozenset[str]) -> Outcome | None:
        if one.name not in unknown:
            return Outcome.FOUND
        since = scope.since.get(one.subreddit.lower())
        if since is None or one.created < since:
            return None  # it is no longer captured here, or the index has begun anew
        gap = scope.gap_of(one.subreddit, one.created)
        if gap is not None:
            return Outcome.MISSING_IN_GAP
        if item is None or is_emptied(item.data):
            return Outcome.REMOVED_FIRST
        return Outcome.MISSING

    def _hand_over(self, items: list[dict[str, Any]], *, in_gaps: bool) -> None:
        if items:
            write_finding(self.config.state_dir, self.config.stream, Finding(self.clock(), items, in_gaps))

    def _report(self, missing: Sequence[Judged]) -> None:
        if missing:
            self.log.warning(
                "audit_found_missing",
                stream=self.config.stream,
                missing=len(missing),
                sampled=sum(bool(one.source) for one in missing),
                subreddits=sorted({one.subreddit for one in missing})[:20],
                oldest=min(one.created for one in missing),
                newest=max(one.created for one in missing),
                hint="they are captured now, and the ledger gets an entry: other items may be missing there",
            )

    def close(self) -> None:
        """Close the files."""
        self.store.close()
