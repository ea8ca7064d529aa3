"""One trial of the scraper: a simulated Reddit, proxies, the whole system, a failure, and the comparison at the end."""

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

#: Small, and still with every oddity; two steps from the seeds reach all of it.
_WORLD = {
    "crawl_subreddits": 18,
    "crawl_posts": 60,
    "crawl_authors": 8,
    "crawl_links": 3,
    "crawl_submitted": 16,
    "crawl_closed_share": 0.15,
}

# The quota must delay nothing here, neither at the server nor in the product: it has its own scenario.
_PER_WINDOW = 1_000_000
_PER_MINUTE = _PER_WINDOW // 10

#: States of the frontier in which a subreddit needs nothing more.
_REFUSED = ("private", "banned", "quarantined", "missing", "forbidden")

_KEYS = {"reddit_subreddits": "name", "reddit_users": "username"}

_LOOK_EVERY = 0.2


class Scrape:
    """Starts the parts, waits for the end of the crawl, and compares the database with what was served."""

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
        """Start Reddit with the simulator's options `world`."""
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
        """Start one machine's system that scrapes through these proxies; `scraper` is its configuration table."""
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
        """Run the system for this time, seconds."""
        end = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= end, seconds + 5.0, "time to pass")

    def open(self) -> list[dict[str, Any]]:
        """The frontier's rows that are neither done nor refused."""
        depth = self.scraper["max_depth"] if self.scraper.get("discover", True) else 0
        refused = ", ".join(f"'{state}'" for state in _REFUSED)
        return self.tables.rows(
            f"SELECT f.name, f.state, f.attempts, f.leased_by, f.error, f.todo FROM reddit_frontier f "
            f"LEFT JOIN reddit_subreddits s ON lower(s.name) = f.name WHERE f.depth <= {depth} AND "
            f"(f.leased_by IS NOT NULL OR (NOT f.settled AND coalesce(f.state, '') NOT IN ({refused}))) "
            f"AND coalesce(s.review, '') <> 'skip'"
        )

    def saved(self, table: str) -> int:
        """Return the number of rows of a table."""
        count: int = self.tables.value(f"SELECT count(*) FROM {table}") or 0
        return count

    def wait_saved(self, table: str, count: int, timeout: float = 60.0) -> None:
        """Return when the crawl is well in progress: a table has this number of rows."""
        self.wait(lambda: self.saved(table) >= count, timeout, f"{count} rows in {table}")

    def wait_end(self, timeout: float = 90.0) -> None:
        """Return when the crawl has ended: nothing in the frontier is waiting, leased or to be retried."""
        self.wait(lambda: self.saved("reddit_frontier") and not self.open(), timeout, "the end of the crawl")
        self.notes["crawl"] = f"{time.monotonic() - self._began:.1f} s"

    # -- inspecting ------------------------------------------------------------------------------------------------

    def proxy_row(self, name: str) -> dict[str, Any]:
        """Return the row of one proxy in reddit_proxies; empty if there is none."""
        rows = self.tables.rows(f"SELECT * FROM reddit_proxies WHERE name = '{name}'")
        return rows[0] if rows else {}

    def events(self, process: str, event: str) -> list[dict[str, Any]]:
        """Return a process's log lines with this event, of all machines."""
        return [line for system in self.systems for line in system.log(process) if line.get("event") == event]

    def fetched_at(self, table: str, name: str) -> str:
        """Return when a row was fetched, as text that sorts; empty if it was not."""
        query = f"SELECT CAST(fetched_at AS TEXT) FROM {table} WHERE lower({_KEYS[table]}) = '{name.lower()}'"
        return self.tables.value(query) or ""

    def asked(self) -> dict[str, Any]:
        """Return the requests to the simulator: by_address, subreddits and users, in lower case, by address."""
        asked: dict[str, Any] = self.simulator.asked()["asked"]
        return asked

    def names_held(self) -> list[str]:
        """Return the names of all subreddits that exist."""
        return [line["name"] for line in self.simulator.held() if line["kind"] == "subreddit"]

    def names_saved(self, table: str) -> set[str]:
        """Return the names in a table that were fetched, in lower case."""
        key = _KEYS[table]
        return {row["name"] for row in self.tables.rows(f"SELECT lower({key}) AS name FROM {table}")}

    def asked_by_name(self) -> dict[str, dict[str, int]]:
        """Return, for each subreddit and user in lower case, how often each address was requested."""
        asked = self.asked()
        return {**asked["subreddits"], **asked["users"]}

    def asked_to_confirm(self) -> set[str]:
        """The subreddits, in lower case, with a refusal or an empty listing that was confirmed by asking again."""
        lines = [
            line
            for system in self.systems
            for path in system.log_dir.glob("scraper-*.log")
            for line in system.log(path.stem)
        ]
        return {str(line["name"]).lower() for line in lines if line["event"].startswith("refusal_")}

    def asked_most(self) -> dict[str, int]:
        """Return, for each subreddit and user, how often its most requested address was requested."""
        return {name: max(counts.values()) for name, counts in self.asked_by_name().items()}

    def command_lines(self) -> str:
        """Return what `ps` shows of our processes."""
        shown = []
        for system in self.systems:
            processes = below(psutil.Process(system.server.pid), recursive=True)
            shown += [" ".join(command_line(process)) for process in (psutil.Process(system.server.pid), *processes)]
        return "\n".join(shown)

    def expect_no_secrets(self, *shown: str) -> None:
        """Check that no password of a proxy and no client secret is in the output, in a log or in the database."""
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
        """End all systems; check that the database holds what was served and requested, once, and nothing else."""
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
        """Check that no process of ours logged an exception, whatever happens outside."""
        for path in (path for system in self.systems for path in system.log_dir.glob("*.log")):
            for text in path.read_text(errors="replace").split("\n"):
                # an incomplete line is checked the next time
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
        """Return the seed and the ends of all logs, for the report of a failure."""
        parts = [f"seed {self.seed}"]
        parts += [system.report() for system in self.systems]
        if self._simulator is not None:
            parts.append(f"== simulator\n{self._simulator.server.tail(15)}")
        parts += [f"== proxy {proxy.name}\n{proxy.server.tail(10)}" for proxy in self.proxies]
        return "\n".join(parts)

    def end(self) -> None:
        """End all processes, whatever happened."""
        for system in self.systems:
            system.destroy()
        for proxy in self.proxies:
            proxy.stop()
        if self._simulator is not None:
            self._simulator.stop()


def url_forms(url: str) -> list[str]:
    """Return the password of a URL, as it is and decoded; nothing if there is none."""
    password = urlsplit(url).password
    return [password, unquote(password)] if password else []
