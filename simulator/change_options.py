"""The part of the command line that says what becomes of items later, and which are hidden from listings."""

import argparse
from typing import Any

from simulator.option_types import amount, rule_list, share
from simulator.settings import ChangeSettings

_SHARES = {
    "edited-share": "share of items with a text that are edited later (%(default)s)",
    "lost-posts-share": "share of posts that are removed, deleted or gone later (%(default)s)",
    "lost-comments-share": "the same for comments (%(default)s)",
    "restored-share": "share of the removed items that are restored later (%(default)s)",
}

_RULE = '[{"share": 0.01, "kind": "comments"}]'


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options; their defaults are those of the settings."""
    base = ChangeSettings()
    for name, text in _SHARES.items():
        default = getattr(base, name.replace("-", "_"))
        group.add_argument(f"--{name}", type=share, metavar="SHARE", default=default, help=text)
    group.add_argument(
        "--score-steps",
        type=_count,
        metavar="N",
        default=base.score_steps,
        help="changes of the score of every item (%(default)s)",
    )
    group.add_argument(
        "--change-seconds",
        nargs=2,
        type=amount,
        default=base.seconds,
        metavar=("FROM", "TO"),
        help="ages between which all this happens ({:g} {:g})".format(*base.seconds),
    )
    group.add_argument("--count-comments", action="store_true", help="num_comments of posts is the number of comments")
    group.add_argument(
        "--hide",
        type=rule_list(_RULE),
        default=(),
        metavar="JSON",
        help=f"rules of items that no listing shows, e.g. {_RULE}",
    )
    for kind, name in (("submissions", "post"), ("comments", "comment")):
        group.add_argument(
            f"--random-{name}-ids",
            dest="random_id_kinds",
            action="append_const",
            const=kind,
            help=f"with --sequential-ids: ids of {name}s in random order",
        )


def settings(given: dict[str, Any]) -> ChangeSettings:
    """Extract these options from all given options."""
    seconds = tuple(given.pop("change_seconds"))
    names = [name.replace("-", "_") for name in _SHARES]
    return ChangeSettings(seconds=seconds, score_steps=given.pop("score_steps"), **{n: given.pop(n) for n in names})


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number, 0 or more")
    return value
