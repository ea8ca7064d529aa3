"""What lies about on the machine does not take part: netrc, praw.ini, praw_* variables, cookies; proxies do."""

import base64
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import GaplessError
from core.reddit.request_errors import BadAnswer, CredentialsRejected, Unreachable
from streams.reddit.credentials import TokenRate
from tests.streams.reddit.client_house import SECRETS, House
from tests.support.proxies import ProxyPy
from tests.support.raw_reddit import LISTING, RawReddit, once, respond, token
from tests.support.simulator import Simulator
from tests.support.waiting import wait_until

PRAW_WITHOUT_SECTION = "password=hunter2-secret\nclient_secret=S3cretOfOldBot\n"
NETRC = "default login anonymous password someone@example.com\n"


@pytest.fixture
def server() -> Iterator[RawReddit]:
    with RawReddit() as made:
        yield made


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a working directory of our own."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("place", [".netrc", "_netrc", "elsewhere"])
def test_netrc_takes_no_part(server: RawReddit, home: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (home / place).write_text(f"{NETRC}machine 127.0.0.1 login a password another\n")
    if place == "elsewhere":
        monkeypatch.setenv("NETRC", str(home / place))
    House(home / "state", server.url).get()
    (asked,) = server.asked("GET /r/")
    assert "Authorization: bearer a-token" in asked
    basic = base64.b64encode(f"{SECRETS['client_id']}:{SECRETS['client_secret']}".encode()).decode()
    assert [f"Basic {basic}" in head for head in server.heads] == [True, False]


@pytest.mark.parametrize("place", ["praw.ini", ".config/praw.ini", "xdg/praw.ini", "appdata/praw.ini"])
@pytest.mark.parametrize(
    "text",
    [
        PRAW_WITHOUT_SECTION,
        "[DEFAULT]\noauth_url=http://127.0.0.1:1\nreddit_url=http://127.0.0.1:1\nusername=u\npassword=hunter2-secret\n",
        "[DEFAULT]\ntimeout=soon\nratelimit_seconds=hunter2-secret\ncomment_kind=t9\n",
        "[other]\nclient_id=hunter2-secret\n[other]\n",
        "\x00\xff hunter2-secret",
    ],
    ids=["no section", "other servers", "no number", "twice", "binary"],
)
def test_no_praw_ini_takes_part(
    server: RawReddit, home: Path, monkeypatch: pytest.MonkeyPatch, place: str, text: str
) -> None:
    path = home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="latin-1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg")) if "xdg" in place else None
    monkeypatch.setenv("APPDATA", str(home / "appdata")) if "appdata" in place else None
    house = House(home / "state", server.url)
    house.get()
    assert "Authorization: bearer a-token" in server.asked("GET /r/")[0]
    assert "hunter2" not in repr(house.log.entries)


def test_no_variable_of_praw_takes_part(server: RawReddit, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("client_id", "client_secret", "username", "password", "refresh_token", "redirect_uri", "user_agent"):
        monkeypatch.setenv(f"praw_{name}", "from-the-environment")
    monkeypatch.setenv("praw_check_for_updates", "true")
    monkeypatch.setenv("praw_site", "no-such-site")
    House(home / "state", server.url).get()
    assert len(server.heads) == 2
    assert "from-the-environment" not in "".join(server.heads)


def test_cookies_are_neither_kept_nor_sent_back(server: RawReddit, home: Path) -> None:
    cookies = [f"Set-Cookie: session{n}=abc; Path=/; Max-Age=99999" for n in range(40)]
    server.script = once(respond(LISTING, *cookies))
    server.token = token()[:-2].replace(b"\r\n\r\n", b"\r\nSet-Cookie: loid=1\r\n\r\n") + token()[-2:]
    house = House(home / "state", server.url)
    for _ in range(3):
        house.get()
    assert len(server.asked("GET /r/")) == 3
    assert not [head for head in server.heads if "cookie" in head.lower()]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(server: RawReddit, home: Path, status: str) -> None:
    """Neither for data nor for a token: another host would get the token, or give one."""
    with RawReddit() as other:
        house = House(home / "state", server.url)
        server.token = respond(b"", f"Location: {other.url}/api/v1/access_token", status=status)
        with pytest.raises(GaplessError):
            house.get()
        server.token = token()
        server.script = once(respond(b"", f"Location: {other.url}/r/Other/comments", status=status))
        with pytest.raises(GaplessError):
            house.get()
        assert not other.heads
        server.script = once(respond(LISTING))
        house.get()


def test_a_proxy_of_the_environment_is_used_with_its_password(
    reddit: Simulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ProxyPy(home, "a")
    proxy.start()
    try:
        monkeypatch.setenv("http_proxy", f"http://{proxy.url}" if "://" not in proxy.url else proxy.url)
        house = House(home / "state", reddit.url, client_id="id")
        assert house.names()
        proxy.stop()
        with pytest.raises(Unreachable):
            house.get()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert House(home / "state", reddit.url, client_id="id").names()
    finally:
        proxy.stop()


@pytest.fixture(scope="module")
def reddit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("reddit"), backlog=5)
    simulator.start()
    yield simulator
    simulator.stop()


# Tokens


@pytest.mark.parametrize("text", ["", "a b", "a\nb", "ä", "x" * 8001, "a\x00"])
def test_a_token_that_no_header_carries_is_a_bad_answer(server: RawReddit, home: Path, text: str) -> None:
    server.token = token(access_token=text)
    house = House(home / "state", server.url)
    with pytest.raises(BadAnswer):
        house.get()
    assert not server.asked("GET /r/")
    server.token = token(access_token="x" * 8000)
    house.get()
    assert server.asked("GET /r/")


@pytest.mark.parametrize(
    "lifetime", [0, -1, -(10**400), 10**400, 1e308, 0.5, float("nan"), float("inf"), True, "3600", None, [], {}]
)
def test_an_odd_lifetime_neither_crashes_nor_asks_for_tokens_all_the_time(
    server: RawReddit, home: Path, lifetime: object
) -> None:
    server.token = token(expires_in=lifetime)
    house = House(home / "state", server.url)
    for _ in range(12):
        with contextlib.suppress(BadAnswer, Unreachable):
            house.get()
    assert 1 <= len(server.asked("access_token")) <= 5
    server.token = token()


def test_401_for_each_fresh_token_is_believed_in_the_end(server: RawReddit, home: Path) -> None:
    """A proxy that replaces the Authorization header, for example; the message says what to check."""
    server.script = once(respond(b"{}", status="401 Unauthorized"))
    house = House(home / "state", server.url)
    errors: list[GaplessError] = []

    def parked() -> bool:
        try:
            house.get()
        except GaplessError as error:
            errors.append(error)
        return isinstance(errors[-1], CredentialsRejected)

    wait_until(parked, 40.0, "the credentials to be given up")
    assert "Authorization header" in str(errors[-1])
    assert len(server.asked("access_token")) <= 9


def test_tokens_are_asked_for_in_pauses_once_a_few_did_not_last() -> None:
    now = [0.0]
    pace = TokenRate(lambda: now[0])
    asked = 0
    for _ in range(600):
        with contextlib.suppress(Unreachable):  # too early: the pause is not over
            pace.take()
            asked += 1
        now[0] += 0.1
    assert asked == pytest.approx(4 + 60 / 5, abs=1)
