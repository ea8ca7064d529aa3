"""Ten thousand of the worst answers, without a network: an error of ours, or facts about the name asked for."""

import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from core.errors import GaplessError
from core.reddit.answers import classify, classify_token, rate_headers
from scraper.http.auth.access_token import lifetime_of
from scraper.http.proxy.blame import sign_of
from scraper.http.proxy_report import outcome_of
from scraper.http.request import Call
from scraper.http.transport.session import Answer
from scraper.parse.figures import post_figures
from scraper.parse.posts import authors, found_subreddits, posts
from scraper.parse.subreddits import rules, subreddit
from scraper.parse.users import user
from scraper.reddit.question import Kind, Question, same_name
from simulator.crawl.crawl_paths import read
from simulator.settings import CrawlSettings, Settings
from simulator.simulation import Simulation
from tests.fuzz.hostile import changed
from tests.fuzz.worst import Bad, trouble, with_odd_fields_in

COUNT = 10_000
NOW = datetime(2026, 11, 28, tzinfo=UTC)
WORLD = CrawlSettings(subreddits=8, posts=8, authors=4, submitted=4, links=2)


class Headers(dict[str, str]):
    """Names in any case, as aiohttp gives them."""

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return super().get(name.lower(), default)


def lowered(headers: Mapping[str, str]) -> Headers:
    return Headers({name.lower(): value for name, value in headers.items()})


def parsed(question: Question, payload: object) -> None:
    """Make rows of it, as the crawl does, and compare their names."""
    match question.kind:
        case Kind.ABOUT:
            assert same_name(subreddit(payload, NOW).name, question.name)
        case Kind.USER:
            assert same_name(user(payload, NOW).username, question.name)
        case Kind.RULES:
            rules(payload, question.name, NOW)
        case _:
            rows = posts(payload, NOW).rows
            post_figures(rows, NOW)
            authors(rows, 40)
            found_subreddits(rows)
            key = "author_username" if question.of_user else "subreddit_name"
            assert all(getattr(row, key) is None or same_name(getattr(row, key), question.name) for row in rows)


def the_bad(dice: random.Random) -> Bad:
    """Draw one that changes what is read, not how it is sent."""
    while True:
        bad = trouble(dice, ("direct",), [], 0.0).bad
        if bad.raw is None and bad.greeting is None and bad.reply is None and not bad.bomb:
            return bad


def test_no_answer_raises_anything_but_our_errors(seed: int) -> None:
    dice = random.Random(seed)
    simulation = Simulation(Settings(seed=seed, subreddits=("Alpha", "Beta"), crawl=WORLD, anonymous=True), lambda: 1e9)
    world, outcomes = simulation.crawl.world, Counter[str]()
    for _ in range(COUNT):
        kind = dice.choice(list(Kind))
        number = dice.randrange(8)
        question = Question(kind, "")
        question = Question(kind, world.names.user(number) if question.of_user else world.name(number))
        asked = read(question.path, {name: str(value) for name, value in question.params.items()})
        assert asked is not None
        good, bad = simulation.crawl.answer(asked), the_bad(dice)
        if bad.odd and good.status == 200:
            good = good.__class__(good.status, with_odd_fields_in(good.body, dice))
        if bad.fields or bad.without:
            good = simulation.reddit.token("Basic aTpz", "client_credentials", 1e9)
        answer = changed(good, bad, asked)
        headers = lowered({**answer.headers, "Content-Type": answer.content_type})
        if bad.family == "token":
            error = classify_token(answer.status, headers, answer.body, NOW)
            lifetime_of(answer.body)
        else:
            rate_headers(headers)
            call = Call(question.path, f"http://reddit.test{question.path}", question)
            came = Answer(answer.status, headers, answer.body, 0.1, repeated=dice.random() < 0.1)
            payload, error = call.read(came, classify(came.status, headers, came.body, NOW), with_token=False)
            if error is None:
                parsed(question, payload)
        assert error is None or isinstance(error, GaplessError)
        outcomes[str(sign_of(error)) if error is None else outcome_of(error)] += 1
    assert len(outcomes) >= 8, outcomes
