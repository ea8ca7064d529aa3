"""The part of the command line that describes the crawl world."""

import argparse
from typing import Any

from simulator.crawl.served_world import MOST_POSTS
from simulator.option_types import amount, positive, share
from simulator.settings import CrawlSettings

_COUNTS = {
    "subreddits": "how many there are; those of --subreddits are the first (%(default)s)",
    "users": "how many there are (as many as the subreddits have authors)",
    "posts": "posts of a subreddit of the usual size (%(default)s)",
    "authors": "authors of a subreddit: its first posts are by one each (%(default)s)",
    "links": "subreddits that the authors of one lead to (%(default)s)",
    "submitted": "most posts of a user besides those in their own subreddits (%(default)s)",
    "cache": "megabytes of rendered answers that are kept (%(default)s)",
}
_SHARES = {
    "overlap": "of a subreddit's authors, those that the next one has too (%(default)s)",
    "wander-share": "of users' posts, those that lie anywhere (%(default)s)",
    "closed-share": "of the subreddits, those private, banned or quarantined (%(default)s)",
    "small-share": "of the subreddits, those with few posts, none, or none of late (%(default)s)",
    "missing-share": "of users' posts, those in subreddits that do not exist (%(default)s)",
    "suspended-share": "of the users (%(default)s)",
    "gone-share": "of the users, those deleted or shadow-banned (%(default)s)",
    "deleted-share": "of the posts, those whose author is [deleted] (%(default)s)",
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
        help="how long each takes: about rules hot week year top user submitted",
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
        raise argparse.ArgumentTypeError(f"{text}: give {MOST_POSTS} or less, so many ids there are")
    return value


def _latency(text: str) -> tuple[str, float]:
    address, equals, seconds = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: give an address and its seconds, e.g. about=0.5")
    return address, amount(seconds)
