"""`python -m supervisor gaps`: prints the proven time of each stream, and every interval that is not proven."""

import argparse
import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import Collection, Iterable
from typing import TextIO

from core.cluster.shards import shard_of
from core.config import Config, load_config
from core.config.slices import cluster_config
from core.config.suggestions import nearest
from core.errors import ExitCode
from core.masking.printable import printable_json
from core.spool import SpoolReader, spool_path
from core.status.cluster_status import ClusterStatus, read_cluster
from core.status.completeness import StreamProof, longest_silence
from core.status.scope import EVERYTHING, Scope
from core.stream_kinds import stream_names
from supervisor.cli.arguments import moment, subreddit
from supervisor.cli.commands import Command
from supervisor.display.gap_report import MOST_GAPS, Selection, document, report

_DESCRIPTION = """\
Show up to when each stream is proven, and the loss ledger: each interval that
could not be proven complete, its state, the reason, and the number of items
that were found in it later. Up to the proven time everything is complete
outside the gaps that are not repaired. Newer items are not proven yet.
Of a machine of a cluster, the subreddits of its own shards are shown.

states:
  open      its items can still be read, or are being read
  repaired  proven complete later
  filled    items came from an archive; nothing proves that these are all
  lost      Reddit no longer lists its items"""

_EPILOG = """\
exit codes:
  0  the ledger was read, with or without gaps
  1  the ledger cannot be read
  2  bad command line or configuration, or an unknown subreddit

example:
  python -m supervisor gaps config.toml --since 24h --subreddit Bitcoin"""


def show_gaps(
    config: Config,
    now: float,
    *,
    since: float | None = None,
    until: float | None = None,
    subreddits: Iterable[str] = (),
    as_json: bool,
    every: bool = False,
    out: TextIO,
    err: TextIO,
) -> ExitCode:
    """Print the ledger of the streams, with or without a supervisor; `now` is our clock, epoch seconds.

    The text lists the worst gaps if there are many, and `every` gap on request.
    """
    state_dir = config.supervisor.state_dir
    selection = Selection(since, until, frozenset(name.lower() for name in subreddits))
    cluster, unreadable = read_cluster(cluster_config(config), state_dir, config.subreddits, now)
    proofs, code = _read(config, EVERYTHING if cluster is None else cluster.scope, err)
    if unreadable:
        print("\n".join(unreadable), file=err)
        code = ExitCode.GAVE_UP
    problem = _problem(selection, config, proofs.values(), cluster)
    if problem:
        print(problem, file=err)
        return ExitCode.BAD_USAGE
    if as_json:
        print(printable_json(json.dumps(document(proofs, selection), indent=2, ensure_ascii=False)), file=out)
        return code
    reddit_now = {stream: proof.reddit_now(now) for stream, proof in proofs.items()}
    max_age, most = longest_silence(config.streams.max_poll_interval), None if every else MOST_GAPS
    blocks = report(proofs, selection, reddit_now, max_age, most)
    if code is ExitCode.OK and not any(spool_path(state_dir, stream).exists() for stream in stream_names()):
        blocks[-1] = f"No stream has stored anything in {state_dir} yet."
    if cluster is not None:
        blocks.insert(0, _part_of(cluster, len(config.subreddits)))
    print("\n\n".join(filter(None, blocks)), file=out)
    return code


def _part_of(cluster: ClusterStatus, configured: int) -> str:
    """Say that others have the rest."""
    shards, names = f"{len(cluster.owned)} of {cluster.config.shards} shards", f"{len(cluster.subreddits):,}"
    return (
        f"This is machine {cluster.config.instance} of group {cluster.config.group}. It captures {shards}:\n"
        f"{names} of {configured:,} subreddits. Only these are shown; the other machines show theirs."
    )


def _read(config: Config, scope: Scope, err: TextIO) -> tuple[dict[str, StreamProof], ExitCode]:
    """Read the configured streams, and all others that have a spool."""
    state_dir = config.supervisor.state_dir
    proofs: dict[str, StreamProof] = {}
    code = ExitCode.OK
    for stream in stream_names():
        subreddits = scope.names(config.subreddits_of(stream))
        try:
            reader = SpoolReader.open(state_dir, stream)
            if reader is not None:
                with contextlib.closing(reader):
                    state = reader.stream_state()  # before the gaps: see StreamProof.read
                    proofs[stream] = StreamProof.read(subreddits, state, scope.gaps(reader.gaps()))
            elif stream in config.streams.enabled:
                proofs[stream] = StreamProof(tuple(subreddits))
        except sqlite3.DatabaseError as error:
            print(
                f"the ledger of {stream} cannot be read ({error}); check that {state_dir} is the right state_dir",
                file=err,
            )
            code = ExitCode.GAVE_UP
    return proofs, code


def _problem(
    selection: Selection, config: Config, proofs: Collection[StreamProof], cluster: ClusterStatus | None
) -> str:
    """Return what is wrong with the selection; empty if nothing is."""
    if selection.since is not None and selection.until is not None and selection.since > selection.until:
        return "--since must not be later than --until"
    known = {name.lower(): name for name in config.subreddits}
    for proof in proofs:
        known |= {name.lower(): name for gap in proof.gaps for name in gap.subreddits if name.lower() not in known}
    for name in sorted(selection.subreddits - known.keys()):
        return f"r/{name} is not configured, and no gap contains it; did you mean r/{nearest(name, known)}?"
    for name in sorted(selection.subreddits):
        if cluster is not None and not cluster.scope.includes(name):
            shard = cluster.shards[shard_of(name, cluster.config.shards)]
            owner = f"machine {shard.owner} captures it: run `gaps` there" if shard.owner else "no machine owns it now"
            return f"r/{known[name]} is in shard {shard.shard}; {owner}"
    return ""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "only gaps that end after TIME: ISO 8601, epoch seconds, or an age such as 2h (default: all)"
    parser.add_argument("--since", type=moment, metavar="TIME", help=text)
    parser.add_argument("--until", type=moment, metavar="TIME", help="only gaps that begin before TIME (default: all)")
    text = "only what concerns this subreddit; repeatable (default: all)"
    parser.add_argument("--subreddit", action="append", default=[], type=subreddit, metavar="NAME", help=text)
    text = f"list every gap (default: of more than {MOST_GAPS} the worst {MOST_GAPS}: open, lost, filled, repaired)"
    parser.add_argument("--all", action="store_true", help=text)
    parser.add_argument("--json", action="store_true", help="print a JSON object, which is complete (default: a table)")


def _run(options: argparse.Namespace) -> int:
    return show_gaps(
        load_config(options.config, credentials=False),
        time.time(),
        since=options.since,
        until=options.until,
        subreddits=options.subreddit,
        as_json=options.json,
        every=options.all,
        out=sys.stdout,
        err=sys.stderr,
    )


COMMAND = Command(_DESCRIPTION, _EPILOG, _add_arguments, _run)
