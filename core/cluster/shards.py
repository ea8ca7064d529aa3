"""The shard of a subreddit: a stable hash, the same on every machine and in every version."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

#: The key order of a record puts its own fields before any text that people wrote (see streams.record).
_SUBREDDIT = b'"subreddit":"'
_CREATED = b'"created_utc":'

#: Listings of other subreddits' items.
_COLLECTIVE = frozenset({"all", "popular", "mod", "friends"})


def shard_of(subreddit: str, shards: int) -> int:
    """Return the shard of a subreddit, 0 to `shards` - 1; upper and lower case do not matter."""
    digest = hashlib.blake2b(subreddit.lower().encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


def subreddits_of(shards: Collection[int], subreddits: Iterable[str], count: int) -> tuple[str, ...]:
    """Return those of the subreddits that belong to one of these of `count` shards, in their order."""
    return tuple(name for name in subreddits if shard_of(name, count) in shards)


class Homes:
    """The shard of each subreddit; an item of a collective listing belongs to the shard of that listing."""

    def __init__(self, subreddits: Sequence[str], shards: int) -> None:
        self._count = shards
        self._shards = {name.lower(): shard_of(name, shards) for name in subreddits}
        collective = next((name for name in subreddits if is_collective(name)), None)
        self._foreign = None if collective is None else shard_of(collective, shards)

    def shard(self, subreddit: str) -> int:
        """Return the shard of an item of this subreddit."""
        name = subreddit.lower()
        if name not in self._shards:
            self._shards[name] = shard_of(name, self._count) if self._foreign is None else self._foreign
        return self._shards[name]


class StreamHomes:
    """The same for several streams, some of which (`lists`) capture other subreddits than the rest."""

    def __init__(self, subreddits: Sequence[str], lists: Mapping[str, Sequence[str]], shards: int) -> None:
        self._all = Homes(subreddits, shards)
        self._own = {stream: Homes(names, shards) for stream, names in lists.items()}

    def shard(self, stream: str, subreddit: str) -> int:
        """Return the shard of an item of this subreddit in a stream."""
        return self._own.get(stream, self._all).shard(subreddit)


def is_collective(name: str) -> bool:
    """Return whether this name lists the items of other subreddits."""
    return name.lower() in _COLLECTIVE


def subreddit_of(value: bytes) -> str:
    """Return the field `subreddit` of a record, without decoding all of it; empty if there is none."""
    start = value.find(_SUBREDDIT)
    if start < 0:
        return ""
    start += len(_SUBREDDIT)
    return value[start : value.find(b'"', start)].decode(errors="replace")


def created_of(value: bytes) -> float:
    """Return the field `created_utc` of a record, seconds, in the same way; 0 if there is none."""
    start = value.find(_CREATED)
    if start < 0:
        return 0.0
    start += len(_CREATED)
    digits = value[start : start + 12].partition(b",")[0].rstrip(b"}")
    return float(digits) if digits.isdigit() else 0.0


def instance_name(host: str, state_dir: str) -> str:
    """Return the name of an installation that has none: host name and state directory, in Kafka's characters."""
    digest = hashlib.blake2b(state_dir.encode(), digest_size=4).hexdigest()
    return f"{re.sub('[^A-Za-z0-9._-]', '-', host) or 'machine'}-{digest}"


def client_digest(client_id: str) -> str:
    """Return a digest of a Reddit client id: other machines compare it, and learn nothing from it."""
    return hashlib.blake2b(client_id.encode(), digest_size=8, person=b"gapless-client"[:16]).hexdigest()
