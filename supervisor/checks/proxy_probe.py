"""The part of `check --connect` that sends one request to Reddit through each proxy, with its user and password."""

import asyncio
import contextlib
import socket
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from core.config import Config, Proxy
from core.config.slices import RedditAccess, ScraperConfig, scraper_config
from core.errors import GaplessError
from core.masking.external import outside
from core.reddit.answers import classify
from core.reddit.request_errors import BadAnswer, CredentialsRejected, NetworkBlocked, RateLimited, Unavailable
from scraper.http.auth.access_token import Token
from scraper.http.auth.user_agents import Agents, agents_of
from scraper.http.proxy.proxy_tests import ANY_SUBREDDIT
from scraper.http.transport.route import ProxyRejectsUs, Route
from scraper.http.transport.session import Answer, Session, uses_tls
from scraper.reddit.payload import decode
from supervisor.checks.finding import Finding, failed

_ADVICE = "ask its provider, or remove it from [[scraper.proxies]]"

#: The result of a request: an answer, an error, or both when the answer means an error.
Outcome = tuple[Answer | None, GaplessError | None]


def check_proxy(config: Config, proxy: Proxy, timeout_s: float) -> Finding:
    """Connect to its port, then send a request to Reddit through it."""
    parts = urlsplit(proxy.url)
    name, place = f"proxy {proxy.name}", f"{parts.hostname}:{parts.port}"
    refusal = _refusal(str(parts.hostname), parts.port or 0, timeout_s)
    if refusal:
        return failed(name, f"{place}: {refusal}: {_ADVICE}")
    answer, error = asyncio.run(_ask(scraper_config(config, proxy), timeout_s))
    ok, text = interpret(answer, error)
    return Finding(name, ok, f"{place} {text}" if ok else f"{place}: {text}")


def _refusal(host: str, port: int, timeout_s: float) -> str | None:
    """Return why a port cannot be reached; None if it can."""
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError as error:
        return error.strerror or outside(error) or type(error).__name__
    return None


async def _ask(config: ScraperConfig, timeout_s: float) -> Outcome:
    """Send the request of the scraper's own probe: for a token, or for the facts of a subreddit."""
    agent, access = agents_of(config), config.access
    route, encrypted = Route.through(config.proxy), uses_tls(access)
    async with Session(route, timeout_s, 1, time.monotonic, encrypted=encrypted) as session:
        if config.with_token:
            return await _ask_for_token(session, access, agent)
        url = f"{access.reddit_url}/r/{next(iter(config.subreddits), ANY_SUBREDDIT)}/about.json?raw_json=1"
        try:
            answer = await session.get(url, {"User-Agent": agent()})
        except GaplessError as error:
            return None, error
    return answer, classify(answer.status, answer.headers, answer.body, datetime.now(UTC)) or _broken(answer.body)


def _broken(body: bytes) -> BadAnswer | None:
    try:
        decode(body)
    except BadAnswer as error:
        return error
    return None


async def _ask_for_token(session: Session, access: RedditAccess, agent: Agents) -> Outcome:
    outcomes: list[Outcome] = []
    token = Token(
        session,
        access,
        agent=agent,
        on_answer=lambda answer, error: outcomes.append((answer, error)),
        clock=time.monotonic,
    )
    with contextlib.suppress(GaplessError):  # the callback gets it too
        await token.renew()
    return outcomes[-1]


def interpret(answer: Answer | None, error: GaplessError | None) -> tuple[bool, str]:
    """Return whether the proxy works, and why: any answer of Reddit itself came through it."""
    latency = f"answers in {answer.seconds * 1000:,.0f} ms" if answer is not None else ""
    match error:
        case None | Unavailable():
            return True, latency
        case CredentialsRejected():
            return True, f"{latency}; but Reddit rejects the credentials of this client"
        case RateLimited():
            return True, f"{latency}; Reddit limits its requests at the moment (429)"
        case ProxyRejectsUs():
            return False, str(error)
        case NetworkBlocked():
            return False, f"{error}: Reddit does not serve this proxy: {_ADVICE}"
        case _:
            return False, f"{error}: {_ADVICE}"
