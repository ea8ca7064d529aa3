"""The baseline: two plain PRAW streams with the loop that people write around them; each item's name on a line.

`patient` sleeps 30 s after an error and skips what existed then; `eager` starts again at once and skips nothing.
"""

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import praw

_AFTER_AN_ERROR = 30.0


def _items(url: str, client: str, subreddits: str, stream: str, *, skip_existing: bool) -> Iterator[Any]:
    reddit = praw.Reddit(
        client_id=client,
        client_secret="secret",
        user_agent="python:gapless-bench:1 (by /u/nobody)",
        reddit_url=url,
        oauth_url=url,
        check_for_updates=False,
    )
    streams = reddit.subreddit(subreddits).stream
    source: Iterator[Any] = getattr(streams, stream)(skip_existing=skip_existing)
    return source


def _run(url: str, client: str, subreddits: str, stream: str, *, patient: bool) -> None:
    first = True
    while True:
        try:
            for item in _items(url, client, subreddits, stream, skip_existing=patient or first):
                sys.stdout.write(f"{item.fullname}\n")
                sys.stdout.flush()
        except Exception as error:  # noqa: BLE001  the loop under test catches everything, that is its point
            sys.stderr.write(f"{stream}: {error!r}\n")
            time.sleep(_AFTER_AN_ERROR if patient else 1.0)
        first = False


def main() -> None:
    url, client, subreddits, temper = sys.argv[1:]
    for stream in ("submissions", "comments"):
        threading.Thread(
            target=_run, args=(url, client, subreddits, stream), kwargs={"patient": temper == "patient"}, daemon=True
        ).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
