"""The command line of `python -m simulator`."""

import argparse
import asyncio
import importlib.util
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from simulator import change_options
from simulator.crawl import options as crawl_options
from simulator.crawl.crawl_paths import LatencyError
from simulator.faults import FaultError
from simulator.hiding import HideError
from simulator.option_types import amount, fault_object, positive, rule_list, seconds, share, span
from simulator.rule_keys import RuleError
from simulator.server import serve
from simulator.settings import DEFAULT_SUBREDDITS, Settings
from simulator.simulation import Simulation, steady_clock
from simulator.texts import TextsError

_EPILOG = """\
Prints one line of JSON when it is ready: {"event": "listening", "url": …, "pid": …, "seed": …}.
GET /_sim/truth returns every item and whether it was shown; GET /_sim/stats returns the request counts.
POST /_sim/faults, /_sim/rates, /_sim/generate, /_sim/subreddits and others change the world (docs/simulator.md).
"""

#: the answer of the edge of Reddit's network to a request line that is too long
_TOO_LONG = {
    "endpoint": "any",
    "edge": True,
    "status": 414,
    "headers": {"Content-Type": "text/html"},
    "body": "<html><head><title>414 Request-URI Too Large</title></head><body>414 Request-URI Too Large</body></html>",
}


def parser() -> argparse.ArgumentParser:
    """Build the parser; its defaults are those of `Settings`."""
    top = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A server that behaves as Reddit does, and records which items it has shown.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_server(top.add_argument_group("server"))
    _add_world(top.add_argument_group("content"))
    change_options.add(top.add_argument_group("what becomes of items"))
    _add_api(top.add_argument_group("access and quota"))
    crawl_options.add(top.add_argument_group("crawl world"))
    return top


def _add_server(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    group.add_argument("--port", type=int, default=0, help="port to listen on; 0 selects a free one (%(default)s)")
    group.add_argument(
        "--seed", type=int, help="the same seed generates the same items (default: random, printed at the start)"
    )
    group.add_argument("--parent", type=int, metavar="PID", help="exit when this process ends")
    group.add_argument(
        "--faults",
        type=fault_object,
        default={},
        metavar="JSON",
        help='faults from the start, e.g. {"status_503": 0.05}',
    )
    group.add_argument(
        "--rules",
        type=rule_list('[{"names": ["Alpha"], "status": 451}]'),
        default=(),
        metavar="JSON",
        help='rules from the start, e.g. [{"names": ["Alpha"], "status": 451}]',
    )
    group.add_argument(
        "--path-limit", type=positive, metavar="N", help="answer 414 if path and query have more characters"
    )
    group.add_argument(
        "--freeze",
        type=amount,
        default=0.0,
        metavar="SECONDS",
        help="accept requests at the start without an answer for this time",
    )
    group.add_argument(
        "--clock-offset",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="Reddit's clock is ahead by this; below 0 it is behind",
    )
    group.add_argument("--tls-certificate", type=Path, metavar="FILE", help="serve TLS with this certificate (chain)")
    group.add_argument(
        "--tls-key", type=Path, metavar="FILE", help="the key, if the certificate's file does not contain it"
    )
    group.add_argument("--latency", type=amount, metavar="SECONDS", help="delay of every answer")


def _add_world(group: argparse._ArgumentGroup) -> None:
    base = Settings()
    group.add_argument(
        "--subreddits", nargs="+", metavar="NAME", default=list(DEFAULT_SUBREDDITS), help="busiest first"
    )
    group.add_argument(
        "--submissions-per-second",
        type=amount,
        metavar="N",
        default=base.submissions_per_second,
        help="rate of new submissions (%(default)s)",
    )
    group.add_argument(
        "--comments-per-second",
        type=amount,
        metavar="N",
        default=base.comments_per_second,
        help="rate of new comments (%(default)s)",
    )
    group.add_argument(
        "--texts",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="folders or t1/t2/t3/t5 .jsonl[.gz] files with real things to use as content",
    )
    group.add_argument("--backlog", type=int, default=0, metavar="N", help="items of each kind that exist at the start")
    group.add_argument(
        "--cap", type=positive, default=base.cap, metavar="N", help="maximum length of a listing (%(default)s)"
    )
    ids = group.add_mutually_exclusive_group()
    ids.add_argument(
        "--random-ids", dest="sequential_ids", action="store_false", default=False, help="ids in random order (default)"
    )
    ids.add_argument("--sequential-ids", action="store_true", default=False, help="ascending ids")
    _add_late_and_removed(group, base)


def _add_late_and_removed(group: argparse._ArgumentGroup, base: Settings) -> None:
    group.add_argument(
        "--late-share",
        type=share,
        default=base.late_share,
        metavar="SHARE",
        help="share of items that surface late, below newer ones (%(default)s)",
    )
    group.add_argument(
        "--late-seconds",
        nargs=2,
        type=amount,
        default=base.late_seconds,
        metavar=("FROM", "TO"),
        help="delay before a late item surfaces ({:g} {:g})".format(*base.late_seconds),
    )
    group.add_argument(
        "--removed-share",
        type=share,
        default=base.removed_share,
        metavar="SHARE",
        help="share of items that are removed after a delay (%(default)s)",
    )
    group.add_argument(
        "--removed-seconds",
        nargs=2,
        type=amount,
        default=base.removed_seconds,
        metavar=("FROM", "TO"),
        help="delay before an item is removed ({:g} {:g})".format(*base.removed_seconds),
    )


def _add_api(group: argparse._ArgumentGroup) -> None:
    base = Settings()
    group.add_argument("--client-id", help="the only client id that receives a token (any)")
    group.add_argument("--client-secret", help="its secret (any)")
    group.add_argument(
        "--token-lifetime",
        type=amount,
        default=base.token_lifetime,
        metavar="SECONDS",
        help="lifetime of a token (%(default)s)",
    )
    group.add_argument(
        "--expires-in",
        dest="announced_lifetime",
        type=amount,
        metavar="SECONDS",
        help="lifetime to announce, if it differs from the real one",
    )
    group.add_argument(
        "--quota",
        type=positive,
        default=base.quota,
        metavar="N",
        help="requests per client id and window (%(default)s)",
    )
    group.add_argument(
        "--window", type=span, default=base.window, metavar="SECONDS", help="length of the quota window (%(default)s)"
    )
    group.add_argument(
        "--lenient-combined",
        action="store_true",
        help="leave a closed subreddit out of a combined listing; without this, the request fails",
    )
    group.add_argument("--anonymous", action="store_true", help="answer .json addresses without a token")
    group.add_argument(
        "--anonymous-quota", type=positive, metavar="N", help="requests per client address and window without a token"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator until it is stopped."""
    top = parser()
    given = vars(top.parse_args(arguments))
    latency = given.pop("latency")
    if latency is not None:
        given["faults"] = {**given["faults"], "latency": latency}
    path_limit = given.pop("path_limit")
    if path_limit is not None:
        given["rules"] = ({"id": "path-limit", "longer_than": path_limit, **_TOO_LONG}, *given["rules"])
    for name in ("late_seconds", "removed_seconds", "change_seconds"):
        if given[name][0] > given[name][1]:
            top.error(f"--{name.replace('_', '-')}: FROM must not be larger than TO")
    given["crawl"] = crawl_options.settings(given)
    given["changes"] = change_options.settings(given)
    given["random_id_kinds"] = tuple(given["random_id_kinds"] or ())
    if given["tls_key"] and not given["tls_certificate"]:
        top.error("--tls-key: give --tls-certificate too")
    if given["seed"] is None:
        given["seed"] = random.SystemRandom().randrange(2**31)
    for name in ("subreddits", "texts", "late_seconds", "removed_seconds"):
        given[name] = tuple(given[name])
    try:
        simulation = Simulation(Settings(**given), steady_clock())
    except (FaultError, HideError, LatencyError, RuleError, TextsError) as error:
        top.error(str(error))
    _take_title()
    try:
        _run(simulation)
    except OSError as error:
        sys.stderr.write(
            f"cannot listen on {given['host']}:{given['port']} ({error}): choose another --host or --port\n"
        )
        return 1
    return 0


def _run(simulation: Simulation) -> None:
    def announce(address: str) -> None:
        line = {"event": "listening", "url": address, "pid": os.getpid(), "seed": simulation.settings.seed}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    if importlib.util.find_spec("uvloop") is None:
        asyncio.run(serve(simulation, announce))
        return
    import uvloop  # noqa: PLC0415 -- optional: only faster

    uvloop.run(serve(simulation, announce))


def _take_title() -> None:
    if importlib.util.find_spec("setproctitle") is not None:
        from setproctitle import setproctitle  # noqa: PLC0415 -- optional: only for `ps`

        setproctitle("simulator")
