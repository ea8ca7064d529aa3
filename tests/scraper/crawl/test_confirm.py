"""No lasting state from a refusal that explains nothing until it is confirmed: the families of S01, S12, S13, S14."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.reddit.request_errors import NetworkBlocked, ServerTrouble, TokenRejected, Unavailable
from scraper.crawl.pending_refusals import INTERVAL, SHORT_INTERVAL
from scraper.reddit.question import Question
from scraper.reddit.refusal import Mismatch, Unexplained
from scraper.reddit.rows import SubredditState
from tests.scraper.crawl.reddit import about, account, listing, post
from tests.scraper.crawl.stage import SETTINGS, Stage

A, B, C = "here/scraper-a", "here/scraper-b", "here/scraper-c"
TWO = ("scraper-a", "scraper-b")
REFUSED = Unexplained(SubredditState.FORBIDDEN, "403 without a reason (forbidden)")
EMPTY = Unexplained(SubredditState.MISSING, "an empty listing", telling=True)
NOT_FOUND = Unexplained(SubredditState.MISSING, "404 without a reason", telling=True)
MOVED = Unexplained(SubredditState.MOVED, "301: a redirect to /r/newname/about.json", target="newname", telling=True)
GATED = Unexplained(SubredditState.GATED, "302: a redirect to /over18", target="/over18", telling=True)
CALLS = ("about", "about/rules", "hot", "top week", "top year")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    stage.settings = replace(SETTINGS, subreddits=("Bitcoin", "ethereum"), discover=False, max_depth=0)
    for name in stage.settings.subreddits:
        stage.reddit.subreddit(name, post(f"p{name}", name, f"author_of_{name}"))
        stage.reddit.user(f"author_of_{name}")
    return stage


def refuse(stage: Stage, error: Exception, name: str = "Bitcoin") -> None:
    for call in CALLS:
        stage.reddit.answers[f"/r/{name}/{call}"] = error


def serve(stage: Stage, name: str = "Bitcoin") -> None:
    stage.reddit.subreddit(name, post(f"p{name}", name, f"author_of_{name}"))


def later(stage: Stage, seconds: float) -> None:
    stage.now += timedelta(seconds=seconds)


def states(stage: Stage) -> dict[str, str]:
    return dict(stage.rows("SELECT name, state FROM reddit_subreddits"))


def test_what_one_process_is_refused_another_gets_at_once(stage: Stage) -> None:
    """S01: one exit of three is refused everything."""
    stage.settings = replace(stage.settings, processes=TWO)
    for name in stage.settings.subreddits:
        refuse(stage, REFUSED, name)
    assert sorted(stage.turn(A)) == ["Bitcoin", "ethereum"]
    assert states(stage) == {}
    assert stage.rows("SELECT DISTINCT state, settled FROM reddit_frontier") == [("unconfirmed", 0)]
    assert stage.turn(A) == [], "it leaves them to the others"
    for name in stage.settings.subreddits:
        serve(stage, name)
    assert sorted(stage.turn(B)) == ["Bitcoin", "ethereum"]
    assert states(stage) == {"Bitcoin": "open", "ethereum": "open"}
    columns = "settled, attempts, doubts, avoided_by, avoided_until"
    assert stage.rows(f"SELECT DISTINCT {columns} FROM reddit_frontier") == [(1, 0, None, None, None)]


def test_others_who_are_refused_too_wait_for_the_confirmation(stage: Stage) -> None:
    stage.settings = replace(stage.settings, processes=TWO)
    refuse(stage, REFUSED)
    stage.turn(A)
    later(stage, 1)
    assert stage.turn(B) == ["Bitcoin"]
    later(stage, INTERVAL - 2)
    assert stage.turn(A) == stage.turn(B) == stage.turn(C) == []
    assert states(stage) == {"ethereum": "open"}
    later(stage, 2)
    assert stage.turn(C) == ["Bitcoin"]
    assert states(stage) == {"Bitcoin": "forbidden", "ethereum": "open"}
    assert stage.turn(A) == []
    later(stage, 86_400)
    assert "Bitcoin" in stage.turn(A), "a forbidden subreddit is asked for again after a day"


def test_a_process_alone_confirms_later_and_over_restarts(stage: Stage) -> None:
    """Each turn of this stage is a process of its own: what it knows stands in the frontier."""
    refuse(stage, REFUSED)
    stage.turn()
    later(stage, INTERVAL - 1)
    assert stage.turn() == []
    later(stage, 1)
    assert stage.turn() == ["Bitcoin"]
    assert states(stage) == {"Bitcoin": "forbidden", "ethereum": "open"}


def test_a_process_that_gets_no_answers_confirms_nothing(stage: Stage) -> None:
    """Everything is refused: the account, the token or the network is meant."""
    for name in stage.settings.subreddits:
        refuse(stage, REFUSED, name)
    for _ in range(12):
        stage.turn()
        later(stage, 1800)
    assert states(stage) == {}
    asked = stage.reddit.asked["/r/Bitcoin/about"]
    assert 6 <= asked <= 40, "again and again, but not in a loop"
    serve(stage)
    later(stage, 1800)
    stage.turn()
    assert states(stage)["Bitcoin"] == "open"


def test_a_good_answer_ends_the_doubt(stage: Stage) -> None:
    refuse(stage, REFUSED)
    stage.turn()
    serve(stage)
    later(stage, INTERVAL)
    assert stage.turn() == ["Bitcoin"]
    refuse(stage, REFUSED)
    later(stage, 90_000)
    stage.turn()
    assert states(stage)["Bitcoin"] == "open", "that is the first refusal again"


@pytest.mark.parametrize("error", [NetworkBlocked("403 with HTML"), TokenRejected("401")])
def test_other_refusals_of_one_name_are_confirmed_alike(stage: Stage, error: Exception) -> None:
    refuse(stage, error)
    stage.turn()
    assert states(stage) == {"ethereum": "open"}
    later(stage, INTERVAL)
    stage.turn()
    assert states(stage)["Bitcoin"] == "forbidden"


@pytest.mark.parametrize("error", [ServerTrouble("503"), Mismatch("a thing of kind t2")])
def test_trouble_never_becomes_a_state(stage: Stage, error: Exception) -> None:
    refuse(stage, error)
    for _ in range(8):
        stage.turn()
        later(stage, 2000)
    assert states(stage) == {"ethereum": "open"}
    assert stage.value("SELECT state FROM reddit_frontier WHERE name = 'bitcoin'") == "failed"


@pytest.mark.parametrize(("refusal", "state", "target"), [(MOVED, "moved", "newname"), (GATED, "gated", "/over18")])
def test_a_redirect_becomes_a_state_that_says_where_to(
    stage: Stage, refusal: Unexplained, state: str, target: str
) -> None:
    """S13."""
    refuse(stage, refusal)
    stage.turn()
    later(stage, SHORT_INTERVAL)
    stage.turn()
    assert stage.rows("SELECT state, moved_to FROM reddit_subreddits WHERE name = 'Bitcoin'") == [(state, target)]
    assert stage.rows("SELECT state, error FROM reddit_frontier WHERE name = 'bitcoin'") == [(state, str(refusal))]
    later(stage, 86_400 - 1)
    assert stage.turn() == ["ethereum"]
    later(stage, 2)
    serve(stage)
    assert stage.turn() == ["Bitcoin"]
    assert stage.rows("SELECT state, moved_to FROM reddit_subreddits WHERE name = 'Bitcoin'") == [("open", None)]


def test_where_it_discovers_it_goes_on_to_the_new_name(stage: Stage) -> None:
    stage.settings = replace(stage.settings, discover=True)
    refuse(stage, MOVED)
    stage.turn()
    later(stage, SHORT_INTERVAL)
    stage.turn()
    assert stage.rows("SELECT name, depth, found_in FROM reddit_frontier WHERE name = 'newname'") == [
        ("newname", 0, "Bitcoin")
    ]


@pytest.mark.parametrize("refusal", [EMPTY, NOT_FOUND])
def test_a_missing_subreddit_leaves_no_row(stage: Stage, refusal: Unexplained) -> None:
    """S12: the calls are answered with an empty listing; rules then have the wrong kind, and listings are empty."""
    refuse(stage, Mismatch("a thing of kind Listing"))
    stage.reddit.answers["/r/Bitcoin/about"] = refusal
    for call in ("hot", "top week", "top year"):
        stage.reddit.answers[f"/r/Bitcoin/{call}"] = listing()
    stage.turn()
    assert states(stage) == {"ethereum": "open"}
    later(stage, SHORT_INTERVAL)
    stage.turn()
    assert states(stage) == {"ethereum": "open"}
    assert stage.rows("SELECT state, settled FROM reddit_frontier WHERE name = 'bitcoin'") == [("missing", 0)]
    later(stage, 86_399)
    assert stage.turn() == ["ethereum"]


@pytest.mark.parametrize(("refusal", "state"), [(REFUSED, "forbidden"), (NOT_FOUND, "missing"), (MOVED, "moved")])
def test_a_state_is_looked_at_after_a_day_and_then_ever_more_rarely(
    stage: Stage, refusal: Unexplained, state: str
) -> None:
    """Two proxies that are refused alike confirm what is not true."""

    def close() -> float:
        """Have it confirmed, over restarts; return the days until the next look."""
        for _ in range(2):
            stage.turn(A)
            stage.turn(B)
            later(stage, INTERVAL)
        due = stage.value("SELECT (julianday(due_at) - julianday(done_at)) FROM reddit_frontier WHERE name = 'bitcoin'")
        assert states(stage)["Bitcoin"] == state
        return float(round(due, 3))

    stage.settings = replace(stage.settings, processes=TWO)
    stage.turn()
    refuse(stage, refusal)
    later(stage, 86_400)
    days = [close()]
    for _ in range(3):
        later(stage, days[-1] * 86_400)
        days.append(close())
    assert days == [1, 2, 4, 8]
    serve(stage)
    later(stage, days[-1] * 86_400)
    stage.turn(A)
    assert states(stage)["Bitcoin"] == "open", "one answer is enough"
    refuse(stage, refusal)
    later(stage, 86_400)
    assert close() == 1, "it begins anew"


def test_nothing_that_does_not_name_the_subreddit_makes_a_row(stage: Stage) -> None:
    """Rules and empty listings may be those of another: they are asked for again once the facts are there."""
    stage.reddit.answers["/r/Bitcoin/about"] = ServerTrouble("503")
    stage.reddit.answers["/r/Bitcoin/hot"] = listing()
    stage.turn()
    assert states(stage) == {"ethereum": "open"}
    serve(stage)
    later(stage, 10)
    stage.turn()
    assert states(stage) == {"Bitcoin": "open", "ethereum": "open"}
    assert stage.value("SELECT count(*) FROM reddit_rules WHERE subreddit_name = 'Bitcoin'") == 1


def test_refusals_that_come_by_chance_are_no_fact(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each second request about it is refused, whoever asks: twice 150 s apart, and not in between."""
    refuse(stage, REFUSED)
    stage.turn()
    later(stage, INTERVAL)
    ask, asked = stage.reddit.ask, stage.reddit.asked["/r/Bitcoin/about"]

    async def flickers(question: Question) -> object:
        if question.path == "/r/Bitcoin/about" and (stage.reddit.asked["/r/Bitcoin/about"] - asked) % 2:
            serve(stage)
        elif question.path == "/r/Bitcoin/about":
            refuse(stage, REFUSED)
        return await ask(question)

    monkeypatch.setattr(stage.reddit, "ask", flickers)
    stage.turn()
    assert states(stage) == {"ethereum": "open"}
    assert stage.rows("SELECT state FROM reddit_frontier WHERE name = 'bitcoin'") == [("unconfirmed",)]


def test_a_refused_part_keeps_nothing_else_waiting(stage: Stage) -> None:
    stage.reddit.answers["/r/Bitcoin/about/rules"] = REFUSED
    stage.turn()
    assert states(stage)["Bitcoin"] == "open"
    assert stage.value("SELECT account_age_days_p10 FROM reddit_subreddits WHERE name = 'Bitcoin'") is not None
    done, todo = stage.rows("SELECT done_at, todo FROM reddit_frontier WHERE name = 'bitcoin'")[0]
    assert done is not None
    assert todo == '{"parts":["rules"],"authors":["author_of_Bitcoin"]}'
    before = stage.reddit.asked.copy()
    later(stage, INTERVAL)
    assert stage.turn() == ["Bitcoin"]
    asked = {"/r/Bitcoin/about/rules": 1 + 3, "/r/ethereum/about": 1 + 3}
    assert stage.reddit.asked - before == asked, "once more with one control, then three times in a row with another"
    assert stage.rows("SELECT settled, doubts FROM reddit_frontier WHERE name = 'bitcoin'") == [(1, None)]


def users(stage: Stage) -> dict[str, str]:
    return dict(stage.rows("SELECT username, state FROM reddit_users"))


def test_a_refused_user_is_not_missing(stage: Stage) -> None:
    """S14: the profile is refused, the posts are not."""
    stage.reddit.answers["/user/author_of_Bitcoin/about"] = REFUSED
    stage.turn()
    assert users(stage) == {"author_of_ethereum": "active"}
    assert states(stage) == {"Bitcoin": "open", "ethereum": "open"}
    assert stage.value("SELECT score_mean FROM reddit_subreddits WHERE name = 'Bitcoin'") == 10.0
    later(stage, INTERVAL - 1)
    assert stage.turn() == []
    later(stage, 1)
    # one who is known from elsewhere answers meanwhile
    stage.reddit.subreddit("Bitcoin", post("p", "Bitcoin", "author_of_Bitcoin"), post("q", "Bitcoin", "carl"))
    stage.reddit.user("carl")
    assert stage.turn() == ["Bitcoin"]
    assert users(stage) == {"author_of_ethereum": "active"}, "no other user is answered in this process"


def with_company(stage: Stage, answer: object) -> None:
    """Let the author of Bitcoin's post be answered like this, and another author well."""
    stage.reddit.subreddit("Bitcoin", post("p", "Bitcoin", "dora"), post("q", "Bitcoin", "carl"))
    stage.reddit.user("carl")
    stage.reddit.answers["/user/dora/about"] = stage.reddit.answers["/user/dora/submitted"] = answer


@pytest.mark.parametrize(
    ("refusal", "state", "target", "seconds"),
    [
        (REFUSED, "forbidden", None, INTERVAL),
        (GATED, "gated", "/over18", SHORT_INTERVAL),
        (Unexplained(SubredditState.MOVED, "301", target="dorothy", telling=True), "moved", "dorothy", SHORT_INTERVAL),
    ],
)
def test_a_refused_user_gets_a_state_when_it_is_confirmed(
    stage: Stage, refusal: Unexplained, state: str, target: str | None, seconds: float
) -> None:
    with_company(stage, refusal)
    stage.turn()
    assert users(stage).get("dora") is None
    later(stage, seconds)
    assert stage.turn() == ["Bitcoin"]
    assert stage.rows("SELECT state, moved_to FROM reddit_users WHERE username = 'dora'") == [(state, target)]
    assert stage.rows("SELECT settled, doubts, todo IS NULL FROM reddit_frontier WHERE name = 'bitcoin'") == [
        (1, None, 0)
    ]
    assert stage.turn() == []


def test_what_one_process_is_refused_of_users_another_gets_at_once(stage: Stage) -> None:
    stage.settings = replace(stage.settings, processes=TWO)
    with_company(stage, REFUSED)
    stage.turn(A)
    assert stage.turn(A) == []
    stage.reddit.user("dora")
    assert stage.turn(B) == ["Bitcoin"]
    assert users(stage)["dora"] == "active"


def test_a_user_who_is_not_there_is_missing_at_once_where_others_are_answered(stage: Stage) -> None:
    with_company(stage, NOT_FOUND)
    stage.turn()
    assert users(stage)["dora"] == "missing"


def test_a_process_that_finds_no_user_at_all_stores_none_of_them(stage: Stage) -> None:
    """An exit that answers each profile with 404."""
    for name in ("author_of_Bitcoin", "author_of_ethereum"):
        stage.reddit.answers[f"/user/{name}/about"] = stage.reddit.answers[f"/user/{name}/submitted"] = NOT_FOUND
    for _ in range(5):
        stage.turn()
        later(stage, 1000)
    assert users(stage) == {}
    assert states(stage) == {"Bitcoin": "open", "ethereum": "open"}


@pytest.mark.parametrize("reason", ["private", "banned", "quarantined"])
def test_a_reason_is_a_fact_at_once(stage: Stage, reason: str) -> None:
    refuse(stage, Unavailable(reason))
    stage.turn()
    assert states(stage)["Bitcoin"] == reason


def test_a_short_refresh_time_is_kept(stage: Stage) -> None:
    """A doubt about one part does not let the others grow old."""
    stage.settings = replace(stage.settings, refresh_after=15.0)
    stage.reddit.answers["/r/Bitcoin/about/rules"] = REFUSED
    stage.turn()
    assert stage.value("SELECT settled FROM reddit_frontier WHERE name = 'bitcoin'") == 1
    assert "rules" in stage.value("SELECT doubts FROM reddit_frontier WHERE name = 'bitcoin'")


def test_facts_known_before_stay(stage: Stage) -> None:
    stage.turn()
    later(stage, 90_000)
    refuse(stage, GATED)
    stage.turn()
    later(stage, SHORT_INTERVAL)
    stage.turn()
    row = stage.rows("SELECT state, subscribers, moved_to FROM reddit_subreddits WHERE name = 'Bitcoin'")
    assert row == [("gated", about("Bitcoin")["data"]["subscribers"], "/over18")]


def test_users_are_gone_at_once_only_while_few_are(stage: Stage) -> None:
    """404 for every second user is nothing of the users."""
    names = [f"author{number}" for number in range(16)]
    stage.reddit.subreddit("Bitcoin", *(post(f"q{name}", "Bitcoin", name) for name in names))
    for name in names[::2]:
        stage.reddit.user(name)
    for name in names[1::2]:
        stage.reddit.answers[f"/user/{name}/about"] = NOT_FOUND
        stage.reddit.answers[f"/user/{name}/submitted"] = NOT_FOUND
    stage.turn()
    assert "missing" not in users(stage).values()
    later(stage, SHORT_INTERVAL)
    stage.turn()
    assert sum(state == "missing" for state in users(stage).values()) == 8


FIGURES = "SELECT state, score_mean, comment_karma_p10 FROM reddit_subreddits WHERE name = 'Bitcoin'"


@pytest.mark.parametrize("has_others", [False, True])
def test_a_stray_empty_listing_leaves_the_figures_and_the_authors(stage: Stage, has_others: bool) -> None:
    stage.settings = replace(stage.settings, processes=TWO if has_others else TWO[:1])
    stage.turn(A)
    known = stage.rows(FIGURES)
    assert known == [("open", 10.0, 100.0)]
    stage.reddit.answers["/r/Bitcoin/hot"] = listing()
    later(stage, 90_000)
    stage.turn(A)
    assert stage.rows(FIGURES) == known
    assert stage.value("SELECT state FROM reddit_frontier WHERE name = 'bitcoin'") == "open", "the rest is done"
    stage.reddit.subreddit("Bitcoin", post("new", "Bitcoin", "ann", score=30))
    stage.reddit.answers["/user/ann/about"] = account("ann", comment_karma=5)
    stage.reddit.answers["/user/ann/submitted"] = listing()
    asked = stage.reddit.asked["/r/Bitcoin/about"]
    later(stage, SHORT_INTERVAL)
    assert stage.turn(B) == ["Bitcoin"]
    assert stage.rows(FIGURES) == [("open", 30.0, 5.0)]
    assert stage.reddit.asked["/r/Bitcoin/about"] == asked, "only what is in doubt is asked for"
    assert stage.value("SELECT doubts FROM reddit_frontier WHERE name = 'bitcoin'") is None


def test_a_subreddit_that_stays_empty_is_empty(stage: Stage) -> None:
    """Over several turns, and also at the next refresh."""
    stage.turn(A)
    stage.reddit.answers["/r/Bitcoin/hot"] = listing()
    later(stage, 90_000)
    stage.turn(A)
    later(stage, SHORT_INTERVAL)
    assert stage.turn(A) == ["Bitcoin"]
    assert stage.rows(FIGURES)[0][:2] == ("open", None)
    later(stage, 3600)
    assert stage.turn(A) == []


def test_an_empty_subreddit_without_subscribers_needs_no_confirmation(stage: Stage) -> None:
    stage.reddit.subreddit("Bitcoin")
    stage.turn(A)
    later(stage, 3600)
    assert stage.turn(A) == []
    assert stage.reddit.asked["/r/Bitcoin/hot"] == 1
