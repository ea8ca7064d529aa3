"""The report of `check --connect` about a proxy: a request really goes through it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.config import load_config
from core.errors import GaplessError
from core.reddit.request_errors import BadAnswer, NetworkBlocked, RateLimited, ServerTrouble, Unavailable
from scraper.http.transport.session import Answer
from supervisor.checks import probes
from supervisor.checks.proxy_probe import interpret
from tests.support.proxies import PProxy, ScriptedProxy
from tests.support.simulator import Simulator

ENVIRON = {
    "REDDIT_CLIENT_ID": "id",
    "REDDIT_CLIENT_SECRET": "hunter-reddit",
    "REDDIT_USER_AGENT": "test:gapless:1 (by /u/nobody)",
}


@pytest.fixture(scope="module")
def reddit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("simulator"), subreddits=("Bitcoin",), client_id="id")
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedProxy]:
    proxy = ScriptedProxy(tmp_path_factory.mktemp("proxy"), "a")
    proxy.start()
    yield proxy
    proxy.stop()


def _probe_proxy(reddit: str, url: str, *, environ: dict[str, str] = ENVIRON, **scraper: Any) -> tuple[bool, str]:
    given = {"reddit.reddit_url": reddit, "reddit.oauth_url": reddit, "scraper.proxies": [{"name": "a", "url": url}]}
    given |= {f"scraper.{name}": value for name, value in scraper.items()}
    config = load_config(None, given, environ)
    (finding,) = probes.probe_proxy(config, config.scraper.proxies[0])
    return finding.ok, finding.text


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("407", "does not accept user and password (407)"),
        ("502", "502"),
        ("html", "no token in the answer (200)"),
        ("hang", "no complete answer within 0.5 s"),
        ("reset", "ask its provider"),
        ("refuse", "Connection refused: ask its provider"),
    ],
)
def test_a_proxy_that_does_not_work(
    reddit: Simulator, proxy: ScriptedProxy, monkeypatch: pytest.MonkeyPatch, mode: str, told: str
) -> None:
    monkeypatch.setattr(probes, "_TIMEOUT_S", 0.5)
    proxy.mode(mode)
    try:
        ok, text = _probe_proxy(reddit.url, proxy.url)
    finally:
        proxy.mode("forward")
    assert not ok
    assert told in text
    assert not [secret for secret in proxy.secrets if secret in text]


def test_a_wrong_password_for_a_proxy(reddit: Simulator, proxy: ScriptedProxy) -> None:
    ok, text = _probe_proxy(reddit.url, f"http://{proxy.user}:hunter@127.0.0.1:{proxy.port}")
    assert (ok, "(407)" in text, "hunter" in text) == (False, True, False)


def test_a_socks_proxy_that_hangs_up_at_a_wrong_password(reddit: Simulator, tmp_path: Path) -> None:
    proxy = PProxy(tmp_path, "s", "socks5")
    proxy.start()
    try:
        assert _probe_proxy(reddit.url, proxy.url)[0]
        ok, text = _probe_proxy(reddit.url, f"socks5://{proxy.user}:hunter@127.0.0.1:{proxy.port}")
    finally:
        proxy.stop()
    assert (ok, "hunter" in text) == (False, False)


def test_what_reddit_says_is_no_fault_of_the_proxy(reddit: Simulator, proxy: ScriptedProxy) -> None:
    ok, text = _probe_proxy(reddit.url, proxy.url, environ=ENVIRON | {"REDDIT_CLIENT_ID": "stranger"})
    assert (ok, text.endswith("ms; but Reddit rejects the credentials of this client")) == (True, True)


@pytest.mark.parametrize(
    ("error", "good"),
    [
        (None, True),
        (Unavailable("private"), True),
        (RateLimited(5.0), True),
        (NetworkBlocked("403 with HTML"), False),
        (ServerTrouble("Reddit answered 502"), False),
        (BadAnswer("HTML instead of JSON"), False),
    ],
)
def test_an_answer_of_reddit_came_through_and_one_that_may_be_the_proxys_is_doubted(
    error: GaplessError | None, good: bool
) -> None:
    assert interpret(Answer(200, {}, b"", 0.1234), error)[0] is good
    assert interpret(Answer(200, {}, b"", 0.1234), None)[1] == "answers in 123 ms"


def test_without_a_token_a_subreddit_is_asked_for(reddit: Simulator, proxy: ScriptedProxy) -> None:
    """The simulator refuses requests without a token here: the report names the network block."""
    ok, text = _probe_proxy(reddit.url, proxy.url, authentication="none")
    assert (ok, "Reddit does not serve this proxy" in text) == (False, True)
