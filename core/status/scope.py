"""The subreddits that this machine's figures concern: all, or those of its shards where several machines share them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from core.cluster.shards import shard_of
from core.spool.model import Gap
from core.spool.stream_state import StreamState


@lru_cache(maxsize=65_536)
def cached_shard(subreddit: str, count: int) -> int:
    """Return the shard; a sample asks for thousands of names each second."""
    return shard_of(subreddit, count)


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of the subreddits: those of `shards`, of `count` shards; None: all subreddits."""

    shards: frozenset[int] | None = None
    count: int = 1

    def includes(self, subreddit: str) -> bool:
        """Return whether the subreddit belongs to it."""
        return self.shards is None or cached_shard(subreddit, self.count) in self.shards

    def names(self, subreddits: Iterable[str]) -> tuple[str, ...]:
        """Return those of the subreddits that belong to it, in their order."""
        return tuple(name for name in subreddits if self.includes(name))

    def gaps(self, gaps: Iterable[Gap]) -> Sequence[Gap]:
        """Return the gaps of its subreddits; a gap that concerns others too names only its own."""
        if self.shards is None:
            return tuple(gaps)
        kept = []
        for gap in gaps:
            names, unproven, pending = (self.names(part) for part in (gap.subreddits, gap.unproven, gap.pending))
            if (unproven if gap.unproven else names) or not gap.subreddits:
                kept.append(replace(gap, subreddits=names, unproven=unproven, pending=pending))
        return tuple(kept)

    def state(self, state: StreamState) -> StreamState:
        """Return the state of a stream with its unavailable subreddits only."""
        if self.shards is None:
            return state
        return replace(state, absent={name: note for name, note in state.absent.items() if self.includes(name)})


#: The scope of a machine that shares nothing.
EVERYTHING = Scope()
