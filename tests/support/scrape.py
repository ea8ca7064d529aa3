"""One trial of the scraper: a simulated Reddit, proxies, our whole system, something that goes wrong, the reckoning."""

import json
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil

from tests.support.crawl import CrawlLedger, reckon
from tests.support.crawl_closure import Crawl
from tests.support.processes import below, command_line
from tests.support.proxies import Proxy
from tests.support.simulator import Simulator
from tests.support.system import CLIENT_SECRET, System
from tests.support.tables import Tables
from tests.support.waiting import wait_until

SEEDS = ("CryptoCurrency", "Bitcoin")

#: Small, and yet with every oddity; two steps from the seeds reach all of it.
_WORLD = {
    "crawl_subreddits": 18,
    "crawl_posts": 60,
    "crawl_authors": 8,
    "crawl_links": 3,
    "crawl_submitted": 16,
    "crawl_closed_share": 0.15,
}

# The quota shall hold nothing up here, neither at the server nor at ours: it is the subject of its own scenario.
_PER_WINDOW = 1_000_000
_PER_MINUTE = _PER_WINDOW // 10

#: States of the frontier in which a subreddit needs nothing more.
_REFUSED = ("private", "banned", "quarantined", "missing", "forbidden")

_KEYS = {"reddit_subreddits": "name", "reddit_users": "username"}

_LOOK_EVERY = 0.2


class Scrape:
    """Starts the parts, waits until the crawl has ended, and holds the database against what was served."""

    def __init__(self, directory: Path, seed: int, database: str | None = None) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.notes: dict[str, Any] = {}
        self.proxies: list[Proxy] = []
        self.systems: list[System] = []
        self.scraper: dict[str, Any] = {}
        self._directory = directory
        self._database = database
        self._simulator: Simulator | None = None
        self._began = time.monotonic()

    @property
    def simulator(self) -> Simulator:
        assert self._simulator is not None, "start the trial first"
        return self._simulator

    @property
    def system(self) -> System:
        """The system, or the first of several."""
        assert self.systems, "start the trial first"
        return self.systems[0]

    @property
    def tables(self) -> Tables:
        return Tables(self.system.database)

    def simulate(self, **world: Any) -> None:
        """Start Reddit as `world` (the simulator's options) says."""
        still = {"comments_per_second": 0, "submissions_per_second": 0, "quota": _PER_WINDOW, "anonymous": True}
        self._simulator = Simulator(self._directory, subreddits=SEEDS, seed=self.seed, **(still | _WORLD | world))
        self._simulator.start()

    def start(
        self,
        *proxies: Proxy,
        machine: str = "system",
        streams: Mapping[str, Any] | None = None,
        kafka: Mapping[str, Any] | None = None,
        reddit: Mapping[str, Any] | None = None,
        monitor: int | None = None,
        environment: Mapping[str, str] | None = None,
        **scraper: Any,
    ) -> System:
        """Start one machine's system that scrapes through these proxies; `scraper` is the table of its name."""
        for proxy in proxies:
            if proxy not in self.proxies:
                self.proxies.append(proxy)
            if not proxy.server.running:
                proxy.start()
        url = self.simulator.url
        self.scraper = {"subreddits": list(SEEDS), "max_depth": 2, "timeout": 5.0, **scraper}
        system = System(
            self._directory / machine,
            reddit={"reddit_url": url, "oauth_url": url, "requests_per_minute": _PER_MINUTE, **(reddit or {})},
            kafka=kafka,
            streams=streams,
            scraper={**self.scraper, "proxies": [proxy.table for proxy in proxies]},
            database=self._database,
            monitor=monitor,
            environment=environment,
        )
        self.systems = [*(other for other in self.systems if other.directory != system.directory), system]
        self._began = time.monotonic()
        system.start()
        return system

    # -- waiting ---------------------------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], Any], timeout: float, what: str) -> None:
        """Return when the condition holds; fail at once if a supervisor ends."""
        end = time.monotonic() + timeout
        while not condition():
            self.expect_supervisors_alive()
            self.expect_no_crash()
            assert time.monotonic() < end, f"waited {timeout:g} s in vain for {what}; still open: {self.open()[:5]}"
            self.pass_time(_LOOK_EVERY)

    def pass_time(self, seconds: float) -> None:
        """Let the system work for so long."""
        end = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= end, seconds + 5.0, "time to pass")

    def open(self) -> list[dict[str, Any]]:
        """What of the frontier is neither done nor refused."""
        depth = self.scraper["max_depth"] if self.scraper.get("discover", True) else 0
        refused = ", ".join(f"'{state}'" for state in _REFUSED)
        return self.tables.rows(
            f"SELECT f.name, f.state, f.attempts, f.leased_by, f.error, f.todo FROM reddit_frontier f "
            f"LEFT JOIN reddit_subreddits s ON lower(s.name) = f.name WHERE f.depth <= {depth} AND "
            f"(f.leased_by IS NOT NULL OR (NOT f.settled AND coalesce(f.state, '') NOT IN ({refused}))) "
            f"AND coalesce(s.review, '') <> 'skip'"
        )

    def saved(self, table: str) -> int:
        """How many rows a table has."""
        count: int = self.tables.value(f"SELECT count(*) FROM {table}") or 0
        return count

    def wait_saved(self, table: str, count: int, timeout: float = 60.0) -> None:
        """Return when the crawl is well under way: a table has so many rows."""
        self.wait(lambda: self.saved(table) >= count, timeout, f"{count} rows in {table}")

    def wait_end(self, timeout: float = 90.0) -> None:
        """Return when the crawl has ended: nothing in the frontier is waiting, leased or to be tried again."""
        self.wait(lambda: self.saved("reddit_frontier") and not self.open(), timeout, "the end of the crawl")
        self.notes["crawl"] = f"{time.monotonic() - self._began:.1f} s"

    # -- looking ---------------------------------------------------------------------------------------------------

    def proxy_row(self, name: str) -> dict[str, Any]:
        """What reddit_proxies says of one; empty while it says nothing."""
        rows = self.tables.rows(f"SELECT * FROM reddit_proxies WHERE name = '{name}'")
        return rows[0] if rows else {}

    def events(self, process: str, event: str) -> list[dict[str, Any]]:
        """The lines of a process's log, of all machines, that tell of one event."""
        return [line for system in self.systems for line in system.log(process) if line.get("event") == event]

    def fetched_at(self, table: str, name: str) -> str:
        """When a row was fetched, as text that sorts; empty while it was not."""
        query = f"SELECT CAST(fetched_at AS TEXT) FROM {table} WHERE lower({_KEYS[table]}) = '{name.lower()}'"
        return self.tables.value(query) or ""

    def asked(self) -> dict[str, Any]:
        """What the simulator was asked for: by_address, subreddits and users, in lower case, by address."""
        asked: dict[str, Any] = self.simulator.asked()["asked"]
        return asked

    def names_held(self) -> list[str]:
        """The names of all subreddits that exist."""
        return [line["name"] for line in self.simulator.held() if line["kind"] == "subreddit"]

    def names_saved(self, table: str) -> set[str]:
        """The names in a table that were fetched, in lower case."""
        key = _KEYS[table]
        return {row["name"] for row in self.tables.rows(f"SELECT lower({key}) AS name FROM {table}")}

    def asked_by_name(self) -> dict[str, dict[str, int]]:
        """Of each subreddit and user, in lower case, how often each address was asked for."""
        asked = self.asked()
        return {**asked["subreddits"], **asked["users"]}

    def asked_most(self) -> dict[str, int]:
        """Of each subreddit and user, how often its most wanted address was asked for."""
        return {name: max(counts.values()) for name, counts in self.asked_by_name().items()}

    def command_lines(self) -> str:
        """What `ps` shows of our processes."""
        shown = []
        for system in self.systems:
            processes = below(psutil.Process(system.server.pid), recursive=True)
            shown += [" ".join(command_line(process)) for process in (psutil.Process(system.server.pid), *processes)]
        return "\n".join(shown)

    def expect_no_secrets(self, *shown: str) -> None:
        """No password of a proxy, no secret of the client, in what is shown, in any log, in the database."""
        secrets = [secret for proxy in self.proxies for secret in proxy.secrets]
        assert secrets, "the scenario wants passwords"
        secrets += [CLIENT_SECRET, *url_forms(self.system.database)]
        texts = dict(zip(map(str, range(len(shown))), shown, strict=True))
        for system in self.systems:
            files = [path for path in system.directory.rglob("*") if path.is_file() and path != system.config]
            texts |= {str(path): path.read_bytes().decode("latin-1") for path in files}
        texts["reddit_proxies"] = str(self.tables.rows("SELECT * FROM reddit_proxies"))
        found = [(where, secret) for where, text in texts.items() for secret in secrets if secret in text]
        assert not found, f"secrets in plain sight: {found}"

    def finish(self, *, locked_out: bool = False) -> CrawlLedger:
        """End all systems; the database must hold what was served and asked for, once, and nothing else."""
        self.stop()
        self.expect_no_crash()
        logs = "".join(path.read_text(errors="replace") for system in self.systems for path in system.log_dir.iterdir())
        assert locked_out or "database is locked" not in logs, "processes of ours must wait for each other in silence"
        scraper = self.scraper
        crawl = Crawl(
            seeds=scraper["subreddits"],
            users_per_subreddit=scraper.get("users_per_subreddit", 40),
            discover=scraper.get("discover", True),
            max_depth=scraper["max_depth"],
        )
        ledger = reckon(self.simulator, crawl, self.tables)
        self.notes |= {f"held {table}": count for table, count in ledger.held.items()}
        print(ledger.summary())
        assert ledger.clean, ledger.summary()
        assert min(ledger.held.values()) >= 5, f"a world so small proves little: {ledger.held}"
        return ledger

    def expect_no_crash(self) -> None:
        """Whatever happens outside, nothing of ours may stumble over its own feet."""
        for path in (path for system in self.systems for path in system.log_dir.glob("*.log")):
            for text in path.read_text(errors="replace").split("\n"):
                # a line that is not yet written whole is looked at the next time
                if '"exception":' in text and text.endswith("}"):
                    line = json.loads(text)
                    raise AssertionError(f"{line['process']}: {line['event']}: {line['exception']}")

    def expect_supervisors_alive(self) -> None:
        for system in self.systems:
            assert system.server.running, f"the supervisor ended with {system.server.returncode}"

    def stop(self) -> None:
        """End all systems, each with exit code 0."""
        for system in self.systems:
            if system.server.running:
                code = system.stop()
                assert code == 0, f"the supervisor left with {code} after SIGTERM"

    def report(self) -> str:
        """What a failure's reader wants: the seed and the ends of all logs."""
        parts = [f"seed {self.seed}"]
        parts += [system.report() for system in self.systems]
        if self._simulator is not None:
            parts.append(f"== simulator\n{self._simulator.server.tail(15)}")
        parts += [f"== proxy {proxy.name}\n{proxy.server.tail(10)}" for proxy in self.proxies]
        return "\n".join(parts)

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        for system in self.systems:
            system.destroy()
        for proxy in self.proxies:
            proxy.stop()
        if self._simulator is not None:
            self._simulator.stop()


def url_forms(url: str) -> list[str]:
    """The password of an address, as it stands there and decoded; nothing where there is none."""
    password = urlsplit(url).password
    return [password, unquote(password)] if password else []
