"""A Reddit and proxies return every secret, in every place of an answer: no output contains it afterwards.

The same run shows that escapes of theirs reach no terminal, and that no process may leave a core file.
"""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from tests.support.echo import Echo
from tests.support.leaks import Leaks
from tests.support.ports import free_port
from tests.support.processes import command_line
from tests.support.system import System
from tests.support.tables import Tables
from tests.support.waiting import wait_until

CLIENT = "Cl13nt", "Zq8_vTn3-XwK5rPbYc7LdM2sJh4"
PROXIES = {"a": ("Us3r", "Hm6 tR/9w?Q#x%Vz&1k"), "b": ("0ther", "nB4=fG7+cD2\"jL5'eS8")}
TOKEN = "81034567-Wk2pXn9vLq4RtZ7mBy3cHd6sFj8gTa"
SASL, KEY, MONITOR = "pY5-uC8.iO3_aN6xW", "rE7tK2zU9vQ4bM", "Gd3hJf6kS9lPx2wA"
SECRETS = (TOKEN, CLIENT[1], SASL, KEY, MONITOR, *(password for _, password in PROXIES.values()))

#: What each of them answers, in turn; all others are tried in tests/core, tests/scraper and tests/streams.
REDDIT = ("quoted target", "reason in JSON", "escapes")
PROXY = ("status line", "header without a colon", "reason phrase", "target of a redirect", "reason in JSON")

LEAKS = Leaks(SECRETS, (CLIENT, *PROXIES.values()))


def all_texts(database: Path) -> Iterator[str]:
    """Every value of every table."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f"SELECT * FROM {table}"):
                yield from (value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row)


def hostile(text: str) -> list[str]:
    """The characters of a text that no output may have."""
    return [character for character in text if character not in "\n\t" and not character.isprintable()]


def given(server: Echo, answers: tuple[str, ...]) -> bool:
    return set(answers) <= set(server.given)


def last_errors(system: System) -> list[str]:
    """What is known of each proxy's last error."""
    rows = Tables(system.database).rows("SELECT last_error FROM reddit_proxies")
    return [row["last_error"] or "" for row in rows] if len(rows) == len(PROXIES) else [""]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    # the token comes back in the headers, once it was given
    planted = [*SECRETS[1:], *LEAKS.pairs]
    with (
        Echo(planted, TOKEN, REDDIT, ["a token"]) as reddit,
        Echo(planted, TOKEN, PROXY, ["a token"]) as first,
        Echo(planted, TOKEN, PROXY[::-1], ["status line", "a token"]) as second,
    ):
        ports = {"a": first.port, "b": second.port}
        subreddits = ["alpha", "beta", "gamma", "delta"]
        system = System(
            tmp_path,
            reddit={
                "subreddits": subreddits,
                "reddit_url": reddit.url,
                "oauth_url": reddit.url,
            },
            kafka={
                "bootstrap_servers": f"127.0.0.1:{free_port()}",
                "producer": {"sasl.password": SASL, "ssl.key.password": KEY},
            },
            scraper={
                "subreddits": [f"scraped{number}" for number in range(12)],
                "timeout": 3.0,
                "max_retries": 0,
                "proxies": [
                    {"name": name, "url": f"{user}:{quote(password)}@127.0.0.1:{ports[name]}"}
                    for name, (user, password) in PROXIES.items()
                ],
            },
            monitor=free_port(),
            environment={
                "REDDIT_CLIENT_ID": CLIENT[0],
                "REDDIT_CLIENT_SECRET": CLIENT[1],
                "MONITOR_TOKEN": MONITOR,
            },
        )
        system.start()
        try:
            system.wait_up()
            for server, answers in ((reddit, REDDIT), (first, PROXY), (second, PROXY)):
                wait_until(partial(given, server, answers), 60.0, f"these answers: {answers}")
            wait_until(system.gaps, 30.0, "a gap")
            wait_until(lambda: all("***" in text for text in last_errors(system)), 30.0, "errors of both proxies")
            yield system
        finally:
            system.destroy()


def test_no_secret_stands_anywhere_and_nothing_steers_a_terminal(system: System) -> None:
    processes = [psutil.Process(system.server.pid), *psutil.Process(system.server.pid).children(recursive=True)]
    shown = {"ps": " ".join(word for process in processes for word in command_line(process))}
    limits = [process.rlimit(resource.RLIMIT_CORE) for process in processes]
    for command, *options in (
        ("status",),
        ("status", "--json"),
        ("gaps",),
        ("gaps", "--json"),
        ("logs", "-n", "2000"),
        ("dead-letters", "list"),
        ("dead-letters", "list", "--json"),
        ("check",),
        ("check", "--connect"),
        ("restart", "scraper-a"),
    ):
        answer = system.attempt(command, *options)
        shown[" ".join((command, *options))] = answer.stdout + answer.stderr
    for path in ("/", "/metrics", "/readyz", "/healthz", "/api/status"):
        shown[path] = system.page(path)[1]
    system.stop()

    shown["standard error"] = system.server.output.read_text(errors="replace")
    kept = [path for path in system.directory.rglob("*") if path.is_file() and path != system.config]
    databases = [path for path in kept if path.suffix == ".db"]
    assert {"reddit.db", "spool-comments.db"} <= {path.name for path in databases}
    for database in databases:
        shown[database.name] = "\n".join(all_texts(database))
    # the answers have arrived where they could leave something
    assert "***" in shown["spool-submissions.db"]
    assert shown["reddit.db"].count("***") > 1
    assert "LAST ERROR" in shown["status"]
    assert "***" in shown["check --connect"]
    assert "\\x1b]0;OWNED" in shown["logs -n 2000"]

    leaks = {name: LEAKS.found_in(text) for name, text in shown.items()}
    leaks |= {str(path): LEAKS.found_in(path.read_bytes()) for path in kept}
    assert not {name: pieces for name, pieces in leaks.items() if pieces}

    steering = {name: hostile(text)[:5] for name, text in shown.items() if not name.endswith(".db")}
    assert not {name: characters for name, characters in steering.items() if characters}
    lines = [line for name, text in shown.items() if not name.endswith(".db") for line in text.splitlines()]
    assert not [line for line in lines if line.startswith("submissions  2026-01-01T")]
    assert limits == [(0, 0)] * len(limits)
    assert not [path for path in system.directory.rglob("core*") if path.is_file()]
