"""The part of the command line that describes the crawl world."""

import argparse
from typing import Any

from simulator.crawl.served_world import MOST_POSTS
from simulator.option_types import amount, positive, share
from simulator.settings import CrawlSettings

_COUNTS = {
    "subreddits": "number of subreddits; the first are those of --subreddits (%(default)s)",
    "users": "number of users (as many as the subreddits have authors)",
    "posts": "posts of a subreddit of the usual size (%(default)s)",
    "authors": "authors of a subreddit; each wrote one of its first posts (%(default)s)",
    "links": "other subreddits in which the authors of one subreddit post (%(default)s)",
    "submitted": "maximum number of a user's posts outside their own subreddits (%(default)s)",
    "cache": "cache of rendered answers, megabytes (%(default)s)",
}
_SHARES = {
    "overlap": "share of a subreddit's authors who also post in the next one (%(default)s)",
    "wander-share": "share of users' posts that are in any other subreddit (%(default)s)",
    "closed-share": "share of subreddits that are private, banned or quarantined (%(default)s)",
    "small-share": "share of subreddits with few posts, none, or no recent ones (%(default)s)",
    "missing-share": "share of users' posts in subreddits that do not exist (%(default)s)",
    "suspended-share": "share of users that are suspended (%(default)s)",
    "gone-share": "share of users that are deleted or shadow-banned (%(default)s)",
    "deleted-share": "share of posts whose author is [deleted] (%(default)s)",
}


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options; their defaults are those of the settings."""
    base = CrawlSettings()
    for name, text in _COUNTS.items():
        kind = _posts if name in {"posts", "submitted"} else positive
        group.add_argument(f"--crawl-{name}", type=kind, metavar="N", default=getattr(base, name), help=text)
    for name, text in _SHARES.items():
        default = getattr(base, name.replace("-", "_"))
        group.add_argument(f"--crawl-{name}", type=share, metavar="SHARE", default=default, help=text)
    group.add_argument(
        "--latencies",
        nargs="+",
        type=_latency,
        action=_Latencies,
        default={},
        metavar="ADDRESS=SECONDS",
        help="latency of each address: about rules hot week year top user submitted",
    )


def settings(given: dict[str, Any]) -> CrawlSettings:
    """Extract the crawl world's options from all given options."""
    names = [name for name in given if name.startswith("crawl_")]
    return CrawlSettings(**{name.removeprefix("crawl_"): given.pop(name) for name in names})


class _Latencies(argparse.Action):
    def __call__(self, _parser: object, namespace: argparse.Namespace, values: Any, _option: object = None) -> None:  # noqa: ANN401 -- argparse's
        setattr(namespace, self.dest, dict(values))


def _posts(text: str) -> int:
    value = positive(text)
    if value > MOST_POSTS:
        raise argparse.ArgumentTypeError(f"{text}: give {MOST_POSTS} or less: there are no more ids")
    return value


def _latency(text: str) -> tuple[str, float]:
    address, equals, seconds = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: give an address and its seconds, e.g. about=0.5")
    return address, amount(seconds)
