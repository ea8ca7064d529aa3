"""`check`, `status` and `gaps` of a machine of a cluster."""

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from core.cluster.shards import shard_of
from core.config import load_config
from core.errors import ExitCode
from core.spool import Batch, Gap, SpoolWriter
from supervisor.cli.check import check
from supervisor.cli.gaps import show_gaps
from supervisor.cli.status import show_status
from tests.support.clusters import cluster_view, with_owners, write_cluster
from tests.support.durations import allowed

NINE = 1_700_000_000.0
NAMES = ("Bitcoin", "ethereum", "CryptoMarkets", "ethtrader")
MINE = shard_of("Bitcoin", 16)
ENVIRON = {"REDDIT_CLIENT_ID": "id", "REDDIT_CLIENT_SECRET": "hidden", "REDDIT_USER_AGENT": "test:gapless:1"}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that owns the shard of r/Bitcoin; another one owns the rest, but for the shard of r/ethtrader."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.toml"
    path.write_text(
        f'[reddit]\nsubreddits = {json.dumps(NAMES)}\n[cluster]\nenabled = true\ninstance = "gapless-0"\n'
        "[scraper]\nenabled = false\n[streams]\nsubmissions = false\n"
        '[supervisor]\nstate_dir = "state"\nlog_dir = "logs"\n'
    )
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    owners: dict[int, str | None] = dict.fromkeys(range(16), "gapless-1")
    owners |= {MINE: "gapless-0", shard_of("ethtrader", 16): None}
    write_cluster(state_dir, with_owners(cluster_view(NINE), owners))
    proven = {"bitcoin": NINE - 5, "ethereum": NINE - 9000}
    shared = Gap("comments", ("bitcoin", "ethereum"), NINE - 600, NINE - 500, "the listing ended", NINE - 400, 2)
    others = Gap("comments", ("ethereum",), NINE - 300, NINE - 200, "the listing ended", NINE - 100, 3)
    with SpoolWriter(state_dir, "comments") as writer:
        writer.commit(
            Batch(cursor={"proven_until": proven, "begun": NINE - 9000, "origin": "settled"}, gaps=[shared, others])
        )
    return path


def gaps(path: Path, *, as_json: bool = False, **options: Any) -> tuple[ExitCode, str, str]:
    out, err = io.StringIO(), io.StringIO()
    loaded = load_config(path, environ={}, credentials=False)
    code = show_gaps(loaded, NINE, as_json=as_json, out=out, err=err, **options)
    return code, out.getvalue(), err.getvalue()


def test_gaps_says_whose_they_are_and_shows_only_these(config: Path) -> None:
    code, text, complaint = gaps(config)
    assert (code, complaint) == (ExitCode.OK, "")
    first, second, _, proven, *_ = text.splitlines()
    assert first == "This is machine gapless-0 of group gapless-reddit-posts. It captures 1 of 16 shards:"
    assert second == "1 of 4 subreddits. Only these are shown; the other machines show theirs."
    assert proven.startswith("comments: proven until 2023-11-14T22:13:15Z, 5.0 s ago.")
    assert "    r/Bitcoin: the listing ended" in text
    assert "ethereum" not in text
    assert text.rstrip().endswith("1 gap: 1 open.")


def test_gaps_for_programs_has_only_these_too(config: Path) -> None:
    document = json.loads(gaps(config, as_json=True)[1])
    assert document["proven_until"] == {"comments": {"Bitcoin": NINE - 5}}
    assert [(gap["id"], gap["subreddits"]) for gap in document["gaps"]] == [("comments-1", ["Bitcoin"])]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("ETHEREUM", f"in shard {shard_of('ethereum', 16)}; machine gapless-1 captures it: run `gaps` there"),
        ("ethtrader", f"in shard {shard_of('ethtrader', 16)}; no machine owns it now"),
        ("nobody", "is not configured"),
    ],
)
def test_a_subreddit_of_another_machine_is_pointed_to(config: Path, name: str, answer: str) -> None:
    code, _, complaint = gaps(config, subreddits=[name])
    assert code is ExitCode.BAD_USAGE
    assert answer in complaint


def test_a_broken_file_of_the_cluster_is_an_error_and_not_an_empty_ledger(config: Path) -> None:
    (config.parent / "state" / "cluster.db").write_bytes(b"no database " * 1000)
    code, _, complaint = gaps(config)
    assert code is ExitCode.GAVE_UP
    assert "the file of the cluster cannot be read now" in complaint


def test_status_shows_the_cluster_for_people_and_for_programs(config: Path) -> None:
    out = io.StringIO()
    assert show_status(config, as_json=False, watch=False, out=out) is ExitCode.GAVE_UP
    assert "Cluster: machine gapless-0 of group gapless-reddit-posts" in out.getvalue()
    assert f"Shards here:   {MINE}" in out.getvalue()
    out = io.StringIO()
    show_status(config, as_json=True, watch=False, out=out)
    cluster = json.loads(out.getvalue())["cluster"]
    assert (cluster["instance"], len(cluster["shards"])) == ("gapless-0", 16)


@pytest.mark.parametrize(("timeout", "warns"), [("6s", False), ("2s", True)])
def test_check_names_the_machine_and_warns_of_a_session_that_brokers_refuse(
    config: Path, timeout: str, warns: bool
) -> None:
    out = io.StringIO()
    code = check(config, {"cluster.session_timeout": timeout}, connect=False, environ=ENVIRON, out=out)
    assert code == ExitCode.OK
    assert "  cluster: machine gapless-0 of group gapless-reddit-posts, 16 shards\n" in out.getvalue()
    assert ("warning: cluster.session_timeout = 2 s" in out.getvalue()) == warns


def test_check_refuses_a_broker_that_only_this_machine_has(config: Path) -> None:
    out = io.StringIO()
    code = check(config, {"kafka.bootstrap_servers": "embedded"}, connect=False, environ=ENVIRON, out=out)
    assert code == ExitCode.BAD_USAGE
    assert "every machine of the cluster reaches" in out.getvalue()


def test_the_ledger_of_a_machine_with_thousands_of_names_comes_at_once(config: Path) -> None:
    names = [f"name{number}" for number in range(5000)]
    text = config.read_text().replace(json.dumps(NAMES), json.dumps(names))
    config.write_text(text)
    with SpoolWriter(config.parent / "state", "comments") as writer:
        wide = Gap("comments", tuple(names), NINE - 600, NINE - 500, "the listing ended", NINE, 2)
        writer.commit(Batch(gaps=[wide] * 40))
    limit, began = allowed(3.0), time.monotonic()
    document = json.loads(gaps(config, as_json=True)[1])
    assert time.monotonic() - began < limit
    assert len(document["gaps"]) == 41
