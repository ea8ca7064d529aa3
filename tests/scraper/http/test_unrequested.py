"""Answers that come twice, or unasked, reach no other question: the family of S05."""

import asyncio
import random
import ssl
from collections.abc import Iterator

import pytest
import structlog
import uvloop

from core.errors import TransientError
from core.reddit.request_errors import Unavailable
from scraper.reddit.question import Kind, Question
from tests.scraper.http.clients import running
from tests.scraper.http.repeating import Again, RepeatingReddit, decoded, facts, refused
from tests.scraper.http.times import until
from tests.support.authority import Authority
from tests.support.proxies import PProxy, Proxy, ProxyPy
from tests.support.proxies import running as each_running

SUBREDDIT = (Kind.ABOUT, Kind.RULES, Kind.HOT, Kind.WEEK, Kind.YEAR)
QUESTIONS = [Question(kind, f"sub{number:03}") for number in range(12) for kind in SUBREDDIT] + [
    Question(kind, f"user{number}") for number in range(12) for kind in (Kind.USER, Kind.SUBMITTED)
]
UNASKED = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"rules": []}'
TOKEN = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"access_token": "x"}'
TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


async def assert_all_answered(
    reddit: RepeatingReddit, proxy: str | None = None, questions: list[Question] = QUESTIONS, concurrency: int = 5
) -> dict[str, int]:
    """Ask everything, in an order of chance; each answer must be the right one. Return the outcomes."""
    order = random.Random(7).sample(questions, len(questions))
    async with running(reddit.url, proxy, concurrency=concurrency, max_retries=5, timeout=1.0) as client:
        answers = await asyncio.gather(*map(client.ask, order))
        assert [
            (question, answer) for question, answer in zip(order, answers, strict=True) if answer != decoded(question)
        ] == []
        return dict(client.report().outcomes)


@pytest.mark.parametrize("delay", [0.0, 0.008, 0.1], ids=lambda seconds: f"{seconds * 1000:g} ms")
@pytest.mark.parametrize("path", ["/about/rules", "/about\\.json", "/hot", "t=week", "/user/.*/about", "/submitted"])
def test_an_answer_that_comes_twice(path: str, delay: float) -> None:
    async def scenario() -> None:
        async with RepeatingReddit(Again(path, times=6, delay=delay)) as reddit:
            await assert_all_answered(reddit)

    uvloop.run(scenario())


def test_rules_come_twice_where_only_rules_are_asked_for() -> None:
    """Nothing in them says whose they are: only the place and the repetition do."""
    questions = [Question(Kind.RULES, f"sub{number:03}") for number in range(60)]

    async def scenario() -> None:
        async with RepeatingReddit(Again("rules", times=8, delay=0.004)) as reddit:
            outcomes = await assert_all_answered(reddit, questions=questions, concurrency=3)
            assert outcomes["ok"] == 60
            assert outcomes.get("unproven", 0) <= 8

    uvloop.run(scenario())


def test_a_refusal_that_comes_twice_closes_no_other_subreddit() -> None:
    class Closed(RepeatingReddit):
        def answer(self, target: str, agent: str) -> bytes:
            return refused("private") if "/closed" in target else super().answer(target, agent)

    async def scenario() -> None:
        again = Again("/closed", times=12, delay=0.004)
        questions = [
            Question(kind, f"{name}{number}") for number in range(6) for kind in SUBREDDIT for name in ("closed", "sub")
        ]
        async with Closed(again) as reddit, running(reddit.url, concurrency=3, max_retries=5) as client:
            answers = await asyncio.gather(*map(client.ask, questions), return_exceptions=True)
            for question, answer in zip(questions, answers, strict=True):
                if question.name.startswith("closed"):
                    assert isinstance(answer, Unavailable)
                else:
                    assert answer == decoded(question)

    uvloop.run(scenario())


def test_a_token_that_comes_twice_is_no_answer() -> None:
    async def scenario() -> None:
        again = Again("sub000/about\\.json", delay=0.03, data=TOKEN)
        async with RepeatingReddit(again, latency=0.1) as reddit, running(reddit.url, concurrency=1) as client:
            for name in ("sub000", "sub001", "sub002"):
                assert await client.ask(Question(Kind.ABOUT, name)) == facts(Question(Kind.ABOUT, name))
            assert reddit.broken >= 1
            assert dict(client.report().outcomes) == {"ok": 3, "bad_answer": 1}

    uvloop.run(scenario())


def test_what_arrives_between_two_requests_closes_the_connection() -> None:
    async def scenario() -> None:
        async with RepeatingReddit(Again("sub000/about\\.json", delay=0.01)) as reddit, running(reddit.url) as client:
            assert await client.ask(Question(Kind.ABOUT, "sub000")) == facts(Question(Kind.ABOUT, "sub000"))
            await until(lambda: reddit.repeated == 1, "the second answer to be sent")
            for _ in range(3):
                await asyncio.sleep(0)  # rounds of the event loop: the client receives it
            with structlog.testing.capture_logs() as logs:
                assert await client.ask(Question(Kind.ABOUT, "sub001")) == facts(Question(Kind.ABOUT, "sub001"))
            assert [line["event"] for line in logs] == ["connection_not_trusted"]
            assert reddit.broken == 1
            assert dict(client.report().outcomes) == {"ok": 2}
            assert client.report().distrusted == 1

    uvloop.run(scenario())


def test_an_answer_to_another_question_is_counted_and_its_connection_closed() -> None:
    """It comes while the next request is under way."""

    async def scenario() -> None:
        async with (
            RepeatingReddit(Again("sub000/about\\.json", delay=0.03), latency=0.1) as reddit,
            running(reddit.url, concurrency=1) as client,
        ):
            await client.ask(Question(Kind.ABOUT, "sub000"))
            assert await client.ask(Question(Kind.ABOUT, "sub001")) == facts(Question(Kind.ABOUT, "sub001"))
            report = client.report()
            assert dict(report.outcomes) == {"ok": 2, "mismatch": 1}
            assert report.errors == 1
            assert report.last_error == "the subreddit 'sub000'"
            assert reddit.broken >= 1

    uvloop.run(scenario())


@pytest.mark.parametrize(
    "again",
    [
        Again("about", times=20, delay=0.005, data=b"\r\n\r\n"), Again("about", times=20, delay=0.005, data=b"garbage"),
        Again("about", times=10, delay=0.005, cut=40), Again("hot", times=10, delay=0.005, cut=-5),
        Again("about", times=10, delay=0.01, data=TIMEOUT), Again("about", times=10, data=UNASKED),
        Again("rules", times=10, data=b"garbage"),
    ],
    ids=lambda again: f"{again.data or again.cut}"[:30],
)  # fmt: skip
def test_other_bytes_that_nobody_asked_for(again: Again) -> None:
    async def scenario() -> None:
        async with RepeatingReddit(again) as reddit:
            await assert_all_answered(reddit)

    uvloop.run(scenario())


def test_a_server_that_only_answers_other_questions_is_not_asked_for_ever() -> None:
    class Wrong(RepeatingReddit):
        pass

    async def scenario() -> None:
        async with Wrong(Again("about", times=99)) as reddit, running(reddit.url, max_retries=2) as client:
            with pytest.raises(TransientError):
                await client.ask(Question(Kind.SUBMITTED, "gone/../nobody"))
            assert sum(reddit.asked.values()) <= 4

    uvloop.run(scenario())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Proxy]]:
    directory = tmp_path_factory.mktemp("proxies")
    made: dict[str, Proxy] = {
        "socks5": PProxy(directory, "socks", "socks5"),
        "pproxy": PProxy(directory, "clear", "http"),
        "proxy.py": ProxyPy(directory, "proxypy"),
    }
    with each_running(*made.values()):
        yield made


@pytest.mark.parametrize("target", ["http", "https"])
@pytest.mark.parametrize("way", ["direct", "socks5", "pproxy", "proxy.py"])
def test_through_proxies_and_encrypted(
    way: str, target: str, proxies: dict[str, Proxy], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(authority.certificate, authority.key)
    again = [Again("about", times=4, delay=0.02), Again("hot", times=2), Again("rules", times=4, delay=0.005)]

    async def scenario() -> None:
        async with RepeatingReddit(*again, tls=tls if target == "https" else None) as reddit:
            outcomes = await assert_all_answered(reddit, proxies[way].url if way in proxies else None)
            rules = sum(question.kind is Kind.RULES for question in QUESTIONS)
            assert len(QUESTIONS) <= outcomes["ok"] <= len(QUESTIONS) + 2 * rules, "some rules are compared"

    uvloop.run(scenario())
