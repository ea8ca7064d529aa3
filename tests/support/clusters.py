"""A made-up cluster: the view and the mailbox as a publisher writes them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.cluster.mailbox import MailboxWriter
from core.cluster.view import ClusterView, Machine, Shard, write_view
from core.config.sections import ClusterSection

#: The configuration of the first machine of a group of three.
SECTION = ClusterSection(enabled=True, instance="gapless-0", group="gapless-reddit-posts", shards=16)


def cluster_view(now: float, count: int = 16, machines: int = 3, **more: Any) -> ClusterView:
    """Return a settled cluster as the first machine sees it: the shards go round, all are proven up to just now."""
    names = [f"gapless-{number}" for number in range(machines)]
    shards = tuple(Shard(number, names[number % machines], now - 5.0 - number) for number in range(count))
    alive = tuple(
        Machine(name, now - 0.5 - place, tuple(range(place, count, machines)), version="0.2.0")
        for place, name in enumerate(names)
    )
    view = ClusterView("gapless-0", "gapless-reddit-posts", now - 0.4, shards, alive, member_since=now - 3600.0)
    return replace(view, **more)


def with_owners(view: ClusterView, owners: Mapping[int, str | None]) -> ClusterView:
    """Return the view with other owners of some shards."""
    shards = tuple(replace(one, owner=owners.get(one.shard, one.owner)) for one in view.shards)
    return replace(view, shards=shards)


def with_machine(view: ClusterView, instance: str, **more: Any) -> ClusterView:
    """Return the view with one machine changed."""
    machines = tuple(replace(one, **more) if one.instance == instance else one for one in view.machines)
    return replace(view, machines=machines)


def write_cluster(state_dir: Path, view: ClusterView, owned: Iterable[int] | None = None) -> None:
    """Write both files; the streams capture the shards that the view gives to this machine, or `owned`."""
    write_view(state_dir, view)
    wanted = {one.shard for one in view.shards if one.owner == view.instance} if owned is None else set(owned)
    mailbox = MailboxWriter(state_dir)
    mailbox.release(mailbox.shards() - wanted)
    for shard in wanted:
        mailbox.own(shard, view.at, {})
    mailbox.close()
