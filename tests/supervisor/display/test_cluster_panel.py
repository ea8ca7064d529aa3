"""The cluster in `status`: readable with 16 shards, and with 256."""

from dataclasses import replace

import pytest

from core.cluster.view import ClusterView, Machine
from core.config.slices import ClusterConfig
from core.status.cluster_status import ClusterStatus
from supervisor.display.cluster_panel import cluster_block, ranges
from tests.support.clusters import cluster_view, with_owners

NOON = 1_800_000_000.0


def status(view: ClusterView | None, shards: int = 16) -> ClusterStatus:
    config, used = ClusterConfig("gapless-0", "gapless-reddit-posts", shards, 6.0, "x"), frozenset(range(shards))
    return ClusterStatus(config, NOON, view=view, used=used)


def test_a_settled_cluster_fits_in_a_few_lines() -> None:
    assert cluster_block(status(cluster_view(NOON))).splitlines() == [
        "Cluster: machine gapless-0 of group gapless-reddit-posts, 3 machines alive, 16 shards",
        "",
        "MACHINE               SHARDS      PROVEN  HEARTBEAT  VERSION",
        "gapless-0 (this one)       6  20.0 s ago  0.5 s ago  0.2.0",
        "gapless-1                  5  18.0 s ago  1.5 s ago  0.2.0",
        "gapless-2                  5  19.0 s ago  2.5 s ago  0.2.0",
        "",
        "Shards here:   0, 3, 6, 9, 12, 15",
        "Proven least:  shard 15 (gapless-0), until 2027-01-15T07:59:40Z",
    ]


def test_what_is_wrong_is_said_at_the_top() -> None:
    view = with_owners(cluster_view(NOON), dict.fromkeys((4, 5, 6, 9)))
    view = replace(view, rebalancing_since=NOON - 70, commit_failing_since=NOON - 30, member_since=None)
    view = replace(view, shards=(replace(view.shards[0], proven_until=None), *view.shards[1:]))
    lines = cluster_block(status(view)).splitlines()
    assert lines[0].endswith("3 machines alive, 16 shards")
    assert [line.split(":")[0].strip() for line in lines[1:4]] == [
        "this machine is no member of the group now",
        "shards have been moving for 1 min 10 s",
        "the group has refused the commits of this machine for 30.0 s; records wait on disk",
    ]
    assert "gapless-0 (this one)       4           -  0.5 s ago  0.2.0" in lines
    assert lines[-2:] == ["Without owner: 4-6, 9", "Proven least:  shard 0 (gapless-0), not proven yet"]


def test_an_old_view_says_its_age_and_judges_nothing() -> None:
    view = replace(cluster_view(NOON - 120), rebalancing_since=NOON - 600)
    text = cluster_block(status(view))
    assert "as of 2 min 00 s ago" in text
    assert "moving" not in text


def test_before_it_has_joined_it_says_so() -> None:
    text = cluster_block(status(None))
    assert text.startswith("Cluster: machine gapless-0 of group gapless-reddit-posts; the publisher has not joined")
    assert "\n" not in text


@pytest.mark.parametrize(
    "view",
    [None, cluster_view(NOON - 60), with_owners(cluster_view(NOON, member_since=None), dict.fromkeys(range(16)))],
    ids=["new", "killed", "stopped"],
)
def test_a_machine_that_does_not_run_does_not_claim_that_shards_have_no_owner(view: ClusterView | None) -> None:
    text = cluster_block(status(view), runs=False)
    assert text.startswith("Cluster: machine gapless-0 of group gapless-reddit-posts; nothing runs here")
    assert "\n" not in text


def test_a_machine_that_stands_by_says_so() -> None:
    view = with_owners(cluster_view(NOON), dict.fromkeys(range(0, 16, 3), "gapless-1"))
    assert "Shards here:   none: this machine stands by" in cluster_block(status(view))


@pytest.mark.parametrize("machines", [3, 40])
def test_with_256_shards_and_many_machines_it_is_still_one_screen(machines: int) -> None:
    view = cluster_view(NOON, 256, machines)
    view = with_owners(view, dict.fromkeys(range(1, 256, 2)))
    lines = cluster_block(status(view, 256)).splitlines()
    assert len(lines) <= 32
    assert max(map(len, lines)) <= 100
    assert "and 104 more" in "\n".join(lines), "numbers of shards without owner"


def test_a_machine_from_outside_cannot_break_the_lines() -> None:
    view = cluster_view(NOON)
    view = replace(view, machines=(*view.machines, Machine("evil\n\x1b[31m", NOON)))
    assert "\x1b" not in cluster_block(status(view))
    assert len(cluster_block(status(view)).splitlines()) == 10


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([7], "7"),
        ([1, 0, 2], "0-2"),
        ([0, 1, 3, 5, 6], "0-1, 3, 5-6"),
        (range(256), "0-255"),
        (range(0, 60, 2), f"{', '.join(map(str, range(0, 48, 2)))} and 6 more"),
    ],
)
def test_numbers_in_a_row_become_a_range(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text
