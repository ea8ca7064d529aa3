"""What the files of the cluster tell, and the figures of a machine that has only some of the shards."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.cluster.mailbox import mailbox_path
from core.cluster.shards import shard_of
from core.cluster.view import view_path
from core.config import Config
from core.config.sections import RedditSection, ScraperSection, SupervisorSection
from core.config.slices import cluster_config, status_config
from core.spool import Batch, Gap, SpoolWriter
from core.status.cluster_status import ClusterStatus, read_cluster
from core.status.system_status import Status, read_status
from tests.support.clusters import SECTION, cluster_view, with_owners, write_cluster

NOON = 1_800_000_000.0
NAMES = tuple(f"Name{number}" for number in range(12))


def configuration(state_dir: Path) -> Config:
    return Config(
        reddit=RedditSection(subreddits=NAMES),
        cluster=SECTION,
        scraper=ScraperSection(enabled=False),
        supervisor=SupervisorSection(state_dir=state_dir),
    )


def look(state_dir: Path, now: float = NOON) -> Status:
    return read_status(status_config(configuration(state_dir)), now)


def cluster_of(state_dir: Path, now: float = NOON) -> ClusterStatus:
    found = look(state_dir, now).cluster
    assert found is not None
    return found


def names_of(*shards: int) -> tuple[str, ...]:
    return tuple(name for name in NAMES if shard_of(name, SECTION.shards) in shards)


def test_the_only_machine_has_no_cluster(tmp_path: Path) -> None:
    write_cluster(tmp_path, cluster_view(NOON))
    config = replace(configuration(tmp_path), cluster=replace(SECTION, enabled=False))
    status = read_status(status_config(config), NOON)
    assert status.cluster is None
    assert status.document()["cluster"] is None
    assert read_cluster(cluster_config(config), tmp_path, NAMES, NOON) == (None, [])


def test_the_name_is_the_one_that_the_publisher_runs_with(tmp_path: Path) -> None:
    """The terminal of `status` may lack the variable GAPLESS_CLUSTER__INSTANCE of the service."""
    write_cluster(tmp_path, cluster_view(NOON))
    config = replace(configuration(tmp_path), cluster=replace(SECTION, instance=""))
    cluster = read_status(status_config(config), NOON).cluster
    assert cluster is not None
    assert cluster.config.instance == "gapless-0"
    assert [one.shard for one in cluster.own] == list(range(0, 16, 3))


def test_the_document_has_the_shape_of_the_contract(tmp_path: Path) -> None:
    write_cluster(tmp_path, with_owners(cluster_view(NOON), {3: None}))
    document = look(tmp_path).document()["cluster"]
    assert document.keys() == {"instance", "shards"}
    assert document["instance"] == "gapless-0"
    assert [one["shard"] for one in document["shards"]] == list(range(16))
    assert document["shards"][0] == {"shard": 0, "owner": "gapless-0", "proven_until": NOON - 5.0}
    assert document["shards"][3] == {"shard": 3, "owner": None, "proven_until": NOON - 8.0}


def test_before_the_publisher_has_joined_nothing_is_known_and_nothing_fails(tmp_path: Path) -> None:
    status = look(tmp_path)
    assert status.cluster is not None
    assert (status.cluster.owned, status.cluster.subreddits, status.cluster.view) == (frozenset(), (), None)
    assert status.document()["cluster"]["shards"][15] == {"shard": 15, "owner": None, "proven_until": None}
    assert status.cluster.without_owner == (), "it is not known, so no shard is called ownerless"
    assert status.cluster.proven_least is None
    assert list(tmp_path.iterdir()) == [], "reading makes nothing"


@pytest.mark.parametrize("content", [b"", b"no database " * 500])
def test_files_that_cannot_be_read_are_named_and_the_rest_is_shown(tmp_path: Path, content: bytes) -> None:
    mailbox_path(tmp_path).write_bytes(content)
    view_path(tmp_path).write_text('{"shards": 7}')
    status = look(tmp_path)
    assert status.cluster is not None
    assert status.cluster.view is None
    assert [remark for remark in status.remarks if "cluster" in remark] == status.flow.unreadable
    assert bool(status.flow.unreadable) == bool(content)


def test_members_owners_and_the_shard_proven_least_far(tmp_path: Path) -> None:
    view = with_owners(cluster_view(NOON), {4: None, 7: "gapless-0"})
    write_cluster(tmp_path, view)
    cluster = cluster_of(tmp_path)
    assert [one.shard for one in cluster.own] == [0, 3, 6, 7, 9, 12, 15]
    assert cluster.without_owner == (4,)
    assert [machine.instance for machine in cluster.machines] == ["gapless-0", "gapless-1", "gapless-2"]
    least = max(cluster.used)
    assert cluster.proven_least == view.shards[least]
    mine = [shard for shard in cluster.used if view.shards[shard].owner == "gapless-0"]
    assert cluster.proven_until("gapless-0") == NOON - 5 - max(mine)
    assert cluster.proven_until("gapless-3") is None


def test_a_shard_that_was_never_proven_is_proven_least_unless_it_has_no_subreddits(tmp_path: Path) -> None:
    used = {shard_of(name, 16) for name in NAMES}
    empty = set(range(16)) - used
    assert empty, "twelve names leave some of sixteen shards without any"
    never = {min(used), *empty}
    view = cluster_view(NOON)
    shards = tuple(replace(one, proven_until=None) if one.shard in never else one for one in view.shards)
    write_cluster(tmp_path, replace(view, shards=shards))
    cluster = cluster_of(tmp_path)
    assert cluster.proven_least == shards[min(used)]
    for instance in ("gapless-0", "gapless-1", "gapless-2"):
        known = shards[min(used)].owner != instance
        assert (cluster.proven_until(instance) is not None) == known


def test_an_old_view_is_not_the_present(tmp_path: Path) -> None:
    write_cluster(tmp_path, cluster_view(NOON))
    assert cluster_of(tmp_path, NOON + 5).current is not None
    late = cluster_of(tmp_path, NOON + 60)
    assert late.current is None
    assert late.age_s == pytest.approx(60.4)


def test_the_streams_figures_concern_the_subreddits_of_this_machines_shards(tmp_path: Path) -> None:
    owned = {shard_of("Name0", 16), shard_of("Name1", 16)}
    mine = names_of(*owned)
    others = tuple(name for name in NAMES if name not in mine)
    write_cluster(tmp_path, cluster_view(NOON), owned)
    proven = dict.fromkeys((name.lower() for name in mine), NOON - 10) | {others[0].lower(): NOON - 5000}
    of_others = Gap("comments", (others[0].lower(),), NOON - 600, NOON - 500, "the listing ended", NOON, 2)
    shared = Gap("comments", ("name0", others[1].lower()), NOON - 400, NOON - 300, "the listing ended", NOON, 2)
    with SpoolWriter(tmp_path, "comments") as writer:
        writer.commit(Batch(cursor={"proven_until": proven, "begun": NOON - 1000}, gaps=[of_others, shared]))
    status = look(tmp_path)
    flow = status.flow.streams["comments"]
    assert (flow.proven_until, flow.gaps, flow.open_gaps) == (NOON - 10, 1, 1)
    assert flow.completeness == pytest.approx(1 - (10 * len(mine) + 100) / (1000 * len(mine)), abs=1e-6)
    reading = status.flow.readings["comments"]
    assert reading.proof.subreddits == mine
    assert [gap.subreddits for gap in reading.proof.gaps] == [("name0",)]
    assert reading.recorded_gaps == 2, "a counter of the ledger does not fall when a shard moves"
    assert status.flow.standings(NOON, 60.0).counts["all"] == len(mine)


def test_a_machine_that_stands_by_has_no_share_of_completeness(tmp_path: Path) -> None:
    write_cluster(tmp_path, cluster_view(NOON), owned=())
    with SpoolWriter(tmp_path, "comments") as writer:
        writer.commit(Batch(cursor={"begun": NOON - 1000}))
    streams = look(tmp_path).document()["streams"]
    assert [(one["proven_until"], one["completeness"]) for one in streams.values()] == [(None, None)] * 2


def test_with_thousands_of_names_reading_stays_cheap(tmp_path: Path) -> None:
    names = tuple(f"name{number}" for number in range(5000))
    write_cluster(tmp_path, cluster_view(NOON, 256), range(0, 256, 2))
    config = replace(configuration(tmp_path).cluster, shards=256)
    cluster, unreadable = read_cluster(
        cluster_config(replace(configuration(tmp_path), cluster=config)), tmp_path, names, NOON
    )
    assert cluster is not None
    assert not unreadable
    assert 2000 < len(cluster.subreddits) < 3000
