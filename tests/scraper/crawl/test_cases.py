"""The cases S01, S05, S12, S13 and S14 as they were met, through the real client, with a clock of ours."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scraper.crawl.pending_refusals import INTERVAL, SHORT_INTERVAL
from tests.scraper.crawl.case_world import CaseStage, case
from tests.scraper.crawl.stage import SETTINGS
from tests.scraper.http.repeating import Again


def staged(directory: Path, read: dict[str, Any], *again: Again) -> CaseStage:
    stage = CaseStage(directory, read.get("rules", []), *again)
    names = tuple(f"sub{number:03}" for number in range(min(read["subreddits"], 24)))
    stage.settings = replace(
        SETTINGS,
        subreddits=names,
        discover=False,
        max_depth=0,
        concurrency=read.get("concurrency", 20),
        processes=tuple(f"scraper-{number}" for number in range(len(read.get("proxies", ())))),
    )
    return stage


def later(stage: CaseStage, seconds: float) -> None:
    stage.now += timedelta(seconds=seconds)


def states(stage: CaseStage) -> dict[str, str]:
    return dict(stage.rows("SELECT name, state FROM reddit_subreddits"))


def wrong_rows(stage: CaseStage) -> list[tuple[Any, ...]]:
    """Rows that hold what was served for another name, or nothing that was served for theirs."""
    return [
        *stage.rows(
            "SELECT name FROM reddit_subreddits WHERE state IS NULL OR (state = 'open' AND figures_at IS NULL)"
        ),
        *stage.rows("SELECT * FROM reddit_rules WHERE short_name <> 'rule of ' || subreddit_name"),
        *stage.rows("SELECT reddit_id FROM reddit_posts WHERE instr(reddit_id, title) = 0"),
        *stage.rows("SELECT username FROM reddit_users WHERE username NOT LIKE 'author_of_sub___'"),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        None,  # that of the case
        {"status": 401, "content-type": "application/json", "body": "{}"},
        {"status": 400, "content-type": "application/json", "body": "{}"},
        {"status": 404, "content-type": "application/json", "body": '{"message": "Not Found", "error": 404}'},
        {"status": 403, "body": "<html>Access denied</html>"},
        {"status": 302, "headers": {"Location": "/login"}},
        {"status": 302, "headers": {"Location": "/over18"}},
        {"status": 301, "headers": {"Location": "/r/popular/about.json"}},
        {"status": 200, "body": '{"kind": "Listing", "data": {"children": []}}', "content-type": "text/json"},
        {"status": 200, "body": '{"kind": "t5", "data": {"display_name": "other"}}', "content-type": "text/json"},
    ],
    ids=lambda answer: "case" if answer is None else f"{answer['status']} {list(answer.values())[1]}"[:30],
)  # fmt: skip
def test_s01_an_exit_that_is_refused_everything_leaves_no_state(tmp_path: Path, answer: dict[str, Any] | None) -> None:
    read = case("S01")
    if answer is not None:
        read["rules"][0]["answer"] = answer
    read["subreddits"] = 6
    stage = staged(tmp_path, read)
    assert len(stage.turn("bad")) == 6
    assert states(stage) == {}
    later(stage, 400)
    stage.turn("good1")
    stage.turn("good2")
    assert states(stage) == dict.fromkeys(stage.settings.subreddits, "open")
    assert wrong_rows(stage) == []
    assert stage.value("SELECT count(*) FROM reddit_users WHERE state = 'active'") == 6
    assert stage.outcomes["bad"].get("refused", 0) == 0


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.03])
@pytest.mark.parametrize("path", [None, "^/r/sub00[0-9]/hot", "^/r/sub00[0-9]/about\\.json", "^/user/"])
def test_s05_an_answer_that_comes_twice_reaches_no_row(tmp_path: Path, path: str | None, delay: float) -> None:
    read = case("S05")
    rule = read.pop("rules")[0]
    again = Again(path or rule["path"].replace("$", "\\.json"), times=rule["times"], delay=delay)
    stage = staged(tmp_path, read, again)
    for _ in range(4):
        stage.turn()
        stage.again = []
        later(stage, 60)
    assert states(stage) == dict.fromkeys(stage.settings.subreddits, "open")
    assert wrong_rows(stage) == []
    assert stage.value("SELECT count(*) FROM reddit_rules") == stage.value("SELECT count(*) FROM reddit_users") == 20


def test_s12_a_missing_subreddit_that_is_answered_with_an_empty_listing(tmp_path: Path) -> None:
    stage = staged(tmp_path, case("S12"))
    stage.turn()
    later(stage, SHORT_INTERVAL)
    assert stage.turn() == ["sub002"]
    assert stage.rows("SELECT state FROM reddit_frontier WHERE name = 'sub002'") == [("missing",)]
    assert states(stage) == {name: "open" for name in stage.settings.subreddits if name != "sub002"}
    assert wrong_rows(stage) == []


def test_s13_redirects_become_states_that_say_where_to(tmp_path: Path) -> None:
    stage = staged(tmp_path, case("S13"))
    stage.turn()
    later(stage, SHORT_INTERVAL)
    assert stage.turn() == ["sub000", "sub001"]
    closed = stage.rows("SELECT name, state, moved_to FROM reddit_subreddits WHERE state <> 'open' ORDER BY name")
    assert closed == [("sub000", "gated", "/over18"), ("sub001", "moved", "newname")]
    assert [
        error for (error,) in stage.rows("SELECT error FROM reddit_frontier WHERE error IS NOT NULL ORDER BY name")
    ] == [
        "302: a redirect to /over18?dest=https%3A%2F%2Fwww.reddit.com%2Fr%2Fsub000%2Fabout",
        "301: a redirect to /r/newname/about.json",
    ]
    later(stage, 86_000)
    assert stage.turn() == []


@pytest.mark.parametrize(
    ("status", "location"),
    [(302, "/r/sub000/about/"), (301, "/r/SUB000/about.json"), (302, None), (302, "https://portal.example/login")],
)
def test_s13_other_redirects_are_tried_a_bounded_number_of_times(
    tmp_path: Path, status: int, location: str | None
) -> None:
    """To itself, in a loop; without a Location; to another host."""
    headers = {"Location": location} if location else {}
    rules = [{"path": "^/r/(sub|SUB)000/", "answer": {"status": status, "headers": headers}}]
    stage = staged(tmp_path, {"subreddits": 2, "rules": rules})
    stage.turn()
    assert states(stage) == {"sub001": "open"}
    assert sum(stage.outcomes["direct"].values()) <= 5 * 4 + 7 + 3
    stage.rules = []
    later(stage, 600)
    stage.turn()
    assert states(stage) == {"sub000": "open", "sub001": "open"}


def test_s13_a_redirect_to_another_spelling_is_followed(tmp_path: Path) -> None:
    rules = [{"path": "^/r/sub000/about$", "answer": {"status": 301, "headers": {"Location": "/r/SUB000/about.json"}}}]
    stage = staged(tmp_path, {"subreddits": 2, "rules": rules})
    stage.turn()
    assert {name.lower(): state for name, state in states(stage).items()} == {"sub000": "open", "sub001": "open"}


def test_s14_a_refused_user_is_forbidden_not_missing(tmp_path: Path) -> None:
    stage = staged(tmp_path, case("S14"))
    stage.turn()
    assert states(stage) == dict.fromkeys(stage.settings.subreddits, "open")
    assert stage.rows("SELECT username FROM reddit_users WHERE state <> 'active'") == []
    later(stage, INTERVAL)
    assert stage.turn() == ["sub005"]
    # the only author of this subreddit: another process may know no other user to compare with
    known = stage.rows("SELECT state FROM reddit_users WHERE username = 'author_of_sub005'")
    assert known in ([], [("forbidden",)])
