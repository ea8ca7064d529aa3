"""Cases of odd answers: what fails for one name, one page or one length of line does not stop the rest."""

import json
import time

import pytest

from tests.e2e.cases.support import (
    INPUTS,
    answer,
    arrives,
    delivered,
    listed,
    messages,
    rejects,
)
from tests.e2e.stages import EVERYWHERE, on
from tests.support.durations import allowed
from tests.support.ports import free_port
from tests.support.soaking import SOAK
from tests.support.trial import Trial
from tests.support.waiting import wait_until

LISTINGS = "/comments"


@on(EVERYWHERE)
@pytest.mark.parametrize(
    ("pattern", "count", "limit"),
    [pytest.param("subreddit_nr_{:05}", 400, 4096, marks=SOAK), ("Subreddit_number{:04}", 800, 8190)],
    ids=["400 names", "800 names"],
)
def test_a_line_that_is_too_long_for_the_edge(trial: Trial, pattern: str, count: int, limit: int) -> None:
    """redlib-org/redlib#379, praw-dev/prawcore#110: 414 is a fact about the request, and comes again each time."""
    names = tuple(pattern.format(number) for number in range(count))
    trial.start(subreddits=names, path_limit=limit, backlog=0, comments_per_second=30)
    chosen = [names[0], names[count // 2], names[-1]]
    known = delivered(trial)
    for name in chosen:
        trial.simulator.generate(comments=1, submissions=1, subreddit=name)
    wait_until(lambda: arrives(trial, chosen, known), what="an item of the first, a middle and the last subreddit")
    check = trial.system.attempt("check", "--connect")
    assert check.returncode == 0, check.stdout
    trial.finish(at_least=60)


REFUSED = {
    "Empty451": answer("answer-451-empty.txt"),
    "Elsewhere": answer("answer-302-other-listing.txt"),
    "Json400": answer("answer-400-json.txt"),
    "Text414": answer("answer-414-text.txt"),
    "Gone410": {"status": 410, "body": "", "headers": {"Content-Type": "text/plain"}},
}


@on(EVERYWHERE)
def test_names_that_are_refused_step_aside_whatever_the_status(trial: Trial) -> None:
    """praw-dev/prawcore's and praw's own tests: 451 without a body, redirects elsewhere, 400, 414."""
    good = ("Alpha", "Beta")
    trial.prepare(subreddits=(*good, *REFUSED, "Stranger"), backlog=10, monitor=free_port(),
                  reddit={"subreddits": [*good, *REFUSED], "requests_per_minute": 600})  # fmt: skip
    for name, effects in REFUSED.items():
        if name == "Elsewhere":
            # the other listing exists: a client that follows receives the items of another subreddit
            other = f"{trial.simulator.url}/r/Stranger/comments?raw_json=1&limit=100"
            effects["headers"]["Location"] = other
        trial.simulator.rule(names=[name], **effects)
    trial.system.start()
    trial.system.wait_up()
    wait_until(lambda: arrives(trial, list(good), set()), what="the subreddits that are not refused")
    wait_until(lambda: all(name in trial.system.page("/readyz")[1] for name in REFUSED), what="each to be named")
    trial.simulator.generate(comments=5, subreddit="Alpha")
    known = listed(trial, "comments", "Alpha")[:5]
    wait_until(lambda: set(known) <= delivered(trial), what="new items of the others")
    assert {record.value["subreddit"] for record in trial.records()} == set(good)
    wait_until(lambda: trial.system.page("/readyz")[0] == 200, what="/readyz to be content")
    trial.simulator.rule(endpoint="listing", status=401, body="")
    wait_until(lambda: trial.system.page("/readyz")[0] == 503, 12.0, "/readyz to say that everything is refused")
    assert "answers its requests with 401" in trial.system.page("/readyz")[1]
    assert trial.system.stop() == 0


@on(EVERYWHERE)
def test_a_429_names_its_end_by_the_reset_and_foreign_kinds_are_kept_apart(trial: Trial) -> None:
    """praw-dev/praw#2046: a 429 with a reset of 1 s is over after 1 s. praw-dev/praw#2090: go by `kind`."""
    trial.start(comments_per_second=30)
    refusal = answer("headers-429-reset-only.txt")
    trial.simulator.rule(kind="comments", count=1, **refusal)
    wait_until(lambda: trial.simulator.stats()["by_status"].get("429"), what="the refusal")
    refused = time.monotonic()
    before = trial.simulator.requests(LISTINGS), trial.simulator.requests("/new")
    wait_until(
        lambda: trial.simulator.requests(LISTINGS) > before[0] and trial.simulator.requests("/new") > before[1],
        8.0, "both streams to ask again",
    )  # fmt: skip
    assert time.monotonic() - refused < allowed(8.0)
    children = json.loads((INPUTS / "foreign-kinds.json").read_text())["data"]["children"]
    known = delivered(trial)
    trial.simulator.rule(kind="comments", children=children[:2], seconds=4)
    trial.simulator.rule(kind="submissions", children=children[1:], seconds=4)
    trial.pass_time(5)
    wait_until(lambda: rejects(trial, "comments") >= 2, what="the rejects of comments")
    wait_until(lambda: rejects(trial, "submissions") >= 2, what="the rejects of submissions")
    assert rejects(trial, "comments") <= 10, "the same thing is kept once, however often it is listed"
    assert len(delivered(trial) - known) > 50
    trial.finish(at_least=200)
    assert not any(trial.system.gaps()), "nothing was missed"


SERVER_ERROR = {"status": 500, "body": '{"message": "Internal Server Error", "error": 500}'}


@on(EVERYWHERE)
def test_a_page_that_always_fails_holds_up_neither_the_newest_nor_its_neighbours(trial: Trial) -> None:
    """arshadrr/subreddit-archiver#7: a page that holds one certain item is a 500, with any anchor and limit.

    Items below that one cannot be requested, since no name there is known. They are in a gap.
    """
    trial.prepare(subreddits=("Alpha",), backlog=300, comments_per_second=30)
    oldest_first = listed(trial, "comments")[::-1]
    trial.simulator.rule(holds=oldest_first[150], **SERVER_ERROR)
    trial.system.start()
    trial.system.wait_up()
    wait_until(trial.records, what="the first records")
    newest = listed(trial, "comments")[0]
    wait_until(lambda: newest in delivered(trial), 8.0, "the newest item")
    wait_until(lambda: set(oldest_first[151:]) <= delivered(trial), what="everything above the bad item")
    trial.simulator.pause()
    wait_until(lambda: not trial.ledger(trial.gaps()).lost_outside_gaps, 30.0, "a gap for everything below")
    assert trial.system.stop() == 0


@on(EVERYWHERE)
def test_a_403_for_everything_is_about_us_and_not_about_twenty_subreddits(trial: Trial) -> None:
    """xavdid/reddit-user-to-sqlite#20, mattbdean/JRAW#93: one pause, one message, and all flow again."""
    names = tuple(f"Name{number:02}" for number in range(20))
    trial.start(subreddits=names, comments_per_second=30, reddit={"requests_per_minute": 600})
    trial.simulator.rule(endpoint="listing", seconds=6, **answer("answer-403-all.txt"))
    trial.pass_time(6)
    over = time.monotonic()
    trial.simulator.generate(comments=1, subreddit="Name19")
    wanted = listed(trial, "comments", "Name19")[0]
    wait_until(lambda: wanted in delivered(trial), what="what came while all was refused")
    assert time.monotonic() - over < allowed(20.0)
    trial.finish(at_least=300)
    assert not trial.system.gaps()
    for stream in ("submissions", "comments"):
        logged = messages(trial, stream, "warning", "error")
        assert not [line for line in logged if line["event"] == "subreddit_unavailable"], logged[:3]
        assert len(logged) <= 12, [line["event"] for line in logged]
