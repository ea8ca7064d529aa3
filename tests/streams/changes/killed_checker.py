"""A process that looks at items until all looks are done; a test kills it at random moments."""

import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from core.child import ChildContext
from core.process import parent_guard
from core.spool import SpoolWriter
from streams.changes.changes_process import STREAM, ChangesLoop, followed_kinds, open_duties
from streams.changes.info_requests import InfoRequests
from tests.streams.capture.life import BIRTH, Notes
from tests.streams.changes.small_reddit import SmallReddit, Thing
from tests.streams.changes.stage import HOUR, SCHEDULE, Stage

NUMBER = 600


def things() -> list[Thing]:
    """Return the items; a few minutes lie between the first and the last one."""
    return [Thing("comments", 0x1000 + number, "Bitcoin", BIRTH + number // 2) for number in range(NUMBER)]


def names() -> list[str]:
    return [one.fullname for one in things()]


class _Wall:
    """Time that passes with each look: an item's score tells which look it is."""

    now = BIRTH + HOUR / 2

    def __call__(self) -> float:
        return self.now


def main(directory: Path) -> None:
    """Look at everything; print a line for each request."""
    wall, reddit = _Wall(), SmallReddit()
    for thing in things():
        reddit.add(thing)

    def answer(_path: str, params: dict[str, str | int]) -> None:
        parent_guard.die_with_parent(int(os.environ["PARENT"]))
        for name in str(params.get("id", "")).split(","):
            thing = reddit.things[name]
            # the number of the look follows from the age alone: after a kill it is the same one
            thing.score = 1000 + sum(wall.now - thing.created >= age for age in SCHEDULE)
        print(len(reddit.asked), flush=True)

    reddit.before = answer
    stage = Stage(directory)
    context = ChildContext(STREAM, cast(Any, Notes()))
    print("started", flush=True)
    with SpoolWriter(directory, STREAM) as writer, closing(open_duties(stage.config(), writer, wall)) as duties:
        # where the former process was: the time of the next look
        kinds = followed_kinds()
        requests = InfoRequests(reddit, context, kinds)
        loop = ChangesLoop(
            context, stage.config(), writer, duties, requests, kinds=kinds, clock=time.monotonic, wall=wall
        )

        def advance(_seconds: float) -> bool:
            due = duties.next_due([kind.name for kind in kinds])
            if due is None and duties.applied:
                context.ask_stop()
            elif due is not None:
                wall.now = max(wall.now, due + 31.0)
            return context.stop.is_set()

        cast(Any, context).wait = advance
        loop.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
