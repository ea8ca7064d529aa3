"""The part of `check --connect` that sends one request to Reddit through each proxy, with its user and password."""

import asyncio
import contextlib
import socket
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from core.config import Config, Proxy
from core.config.slices import scraper_config
from core.errors import GaplessError
from core.masking.external import outside
from core.reddit.answers import judge
from core.reddit.request_errors import BadAnswer, CredentialsRejected, NetworkBlocked, RateLimited, Unavailable
from scraper.http.auth import user_agents
from scraper.http.auth.access_token import Token
from scraper.http.http_settings import FetchSettings
from scraper.http.transport.route import ProxyRejectsUs, Route
from scraper.http.transport.session import Answer, Session
from scraper.reddit.payload import decode
from supervisor.checks.finding import Finding, failed

_ADVICE = "ask its provider, or take it out of [[scraper.proxies]]"

#: The result of a request: an answer, an error, or both when the answer means an error.
Outcome = tuple[Answer | None, GaplessError | None]


def look_at_proxy(config: Config, proxy: Proxy, patience: float) -> Finding:
    """Connect to its port, then send a request to Reddit through it."""
    parts = urlsplit(proxy.url)
    name, place = f"proxy {proxy.name}", f"{parts.hostname}:{parts.port}"
    refusal = _refusal(str(parts.hostname), parts.port or 0, patience)
    if refusal:
        return failed(name, f"{place}: {refusal}: {_ADVICE}")
    answer, error = asyncio.run(_ask(FetchSettings.of(scraper_config(config, proxy)), patience))
    good, text = judged(answer, error)
    return Finding(name, good, f"{place} {text}" if good else f"{place}: {text}")


def _refusal(host: str, port: int, patience: float) -> str | None:
    """Return why a port cannot be reached; None if it can."""
    try:
        socket.create_connection((host, port), timeout=patience).close()
    except OSError as error:
        return error.strerror or outside(error) or type(error).__name__
    return None


async def _ask(settings: FetchSettings, patience: float) -> Outcome:
    """Send the request of the scraper's own probe: for a token, or for the facts of a subreddit."""
    agent = (
        user_agents.fixed(settings.user_agent) if not settings.rotate else user_agents.rotating(user_agents.browsers())
    )
    route, encrypted = Route.through(settings.proxy), settings.leads_to_https
    async with Session(route, patience, 1, time.monotonic, encrypted=encrypted) as session:
        if settings.with_token:
            return await _ask_for_token(session, settings, agent)
        url = f"{settings.reddit_url}/r/{settings.probe_subreddit}/about.json?raw_json=1"
        try:
            answer = await session.get(url, {"User-Agent": agent()})
        except GaplessError as error:
            return None, error
    return answer, judge(answer.status, answer.headers, answer.body, datetime.now(UTC)) or _broken(answer.body)


def _broken(body: bytes) -> BadAnswer | None:
    try:
        decode(body)
    except BadAnswer as error:
        return error
    return None


async def _ask_for_token(session: Session, settings: FetchSettings, agent: user_agents.Agents) -> Outcome:
    heard: list[Outcome] = []
    token = Token(
        session,
        reddit_url=settings.reddit_url,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        agent=agent,
        heard=lambda answer, error: heard.append((answer, error)),
        clock=time.monotonic,
    )
    with contextlib.suppress(GaplessError):  # the callback gets it too
        await token.renew()
    return heard[-1]


def judged(answer: Answer | None, error: GaplessError | None) -> tuple[bool, str]:
    """Return whether the proxy works, and why: any answer of Reddit itself came through it."""
    took = f"answers in {answer.seconds * 1000:,.0f} ms" if answer is not None else ""
    match error:
        case None | Unavailable():
            return True, took
        case CredentialsRejected():
            return True, f"{took}; it is Reddit that rejects the credentials"
        case RateLimited():
            return True, f"{took}; Reddit lets it wait for now (429)"
        case ProxyRejectsUs():
            return False, str(error)
        case NetworkBlocked():
            return False, f"{error}: Reddit does not serve this proxy: {_ADVICE}"
        case _:
            return False, f"{error}: {_ADVICE}"
