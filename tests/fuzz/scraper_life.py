"""The life of a crawl in a storm of bad answers: several real scraper processes, a hostile Reddit, hostile proxies.

Time is that of tests.fuzz.timelapse. The checks: while the storm lasts no process ends and only our own errors are
raised; after it each present row equals what was served for its name, and a lasting state was served as such; in the
calm every proxy works again, and everything that Reddit holds is in the tables, complete and correct, within a bounded
time and number of requests.
"""

import asyncio
import bisect
import json
import os
import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
from structlog.testing import capture_logs

from core.reddit.quota import WINDOW
from scraper.crawl import crawl_loop
from scraper.crawl.pending_refusals import SHORT_INTERVAL
from simulator.crawl.crawl_control import CrawlTruth
from simulator.settings import CrawlSettings, Settings
from simulator.simulation import Simulation
from tests.fuzz.hostile import HostileReddit, Served
from tests.fuzz.scraper_process import ScraperProcess, Setting
from tests.fuzz.timelapse import TimelapseLoop
from tests.fuzz.worst import trouble
from tests.support.authority import Authority
from tests.support.crawl import Saved, compare
from tests.support.crawl_closure import Crawl, expected
from tests.support.crawl_columns import same
from tests.support.scraper_config import scraper_config_of
from tests.support.tables import Tables

SUBREDDITS = ("Alpha", "Beta", "Gamma")
REFRESH = 60.0
#: in the calm everything is complete and correct, and every proxy works, within this time, seconds
RECOVERY = 2_700.0
MEMORY = 256 * 2**20
#: most requests of the same question through the same proxy in a minute
_SAME = 40
#: most token requests through one proxy in a minute
_TOKENS = 45
#: Events that report errors of ours, or answers that led to one.
_ERRORS = frozenset({"visit_failed", "probe_broke_off", "rows_refused", "rows_dropped", "many_failures"})
_LASTING = frozenset({"private", "banned", "quarantined", "missing", "forbidden", "moved", "gated", "suspended"})
_WORLD = CrawlSettings(
    subreddits=10, posts=30, authors=6, links=2, submitted=8, closed_share=0.2, suspended_share=0.08, gone_share=0.08,
    missing_share=0.08, cache=8,
)  # fmt: skip


@dataclass
class ScraperLife:
    """One seed's life; `wrong` lists the violations."""

    directory: Path
    seed: int
    answers: int
    wrong: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.seed} scraper storm")
        self.loop = TimelapseLoop()
        self.with_token = self.dice.random() < 0.6
        self.encrypted = self.dice.random() < 0.25
        self.per_minute = self.dice.choice((600, 6_000, 6_000))
        kinds = self.dice.choice((("direct",), ("http-a", "socks-b"), ("http-a", "http-b", "socks-c")))
        self.ways: tuple[str, ...] = kinds
        self._began = 1_790_000_000.0 - self.loop.time()
        settings = Settings(
            seed=self.seed, subreddits=SUBREDDITS, submissions_per_second=0.0, comments_per_second=0.0,
            quota=self.per_minute * 10, window=WINDOW, crawl=_WORLD, anonymous=True,
            token_lifetime=self.dice.choice((45.0, 600.0, 3600.0)),
        )  # fmt: skip
        self.simulation = Simulation(settings, self.epoch)
        self.crawled = scraper_config_of(
            subreddits=SUBREDDITS,
            concurrency=4,
            refresh_after=REFRESH,
            processes=tuple(f"scraper-{number}" for number in range(len(kinds))),
        )
        self.tables = Tables(f"sqlite:///{self.directory}/reddit.db")
        self.processes: list[ScraperProcess] = []
        self._memory = 0

    def epoch(self) -> float:
        """Return the time, seconds since 1970."""
        return self._began + self.loop.time()

    def live(self) -> None:
        """Run the whole life."""
        with ExitStack() as stack:
            logs = stack.enter_context(capture_logs())
            # the loop checks 50 times a second for idle connections: here that would take most of the time
            stack.enter_context(patch.object(crawl_loop, "_IDLE_CHECK_INTERVAL_S", 0.25))
            tls = None
            if self.encrypted:
                authority = Authority(self.directory)
                stack.enter_context(patch.dict(os.environ, {"SSL_CERT_FILE": str(authority.root)}))
                tls = _server_side(authority)
            # its own random numbers: the plan of the storm does not depend on the order of requests
            chance = random.Random(f"{self.seed} scraper answers")
            self.reddit = HostileReddit(self.simulation, self.epoch, chance, self.ways, tls)
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.get_loop().set_exception_handler(self._unhandled)
                runner.run(self._live())
        self.wrong += [f"{one['event']}: {one.get('exception') or one}"[:1500] for one in logs if _is_error(one)]
        self.wrong += self.reddit.errors[:5]
        for process in self.processes:
            self.wrong += process.failures
        self._check_rates()

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, ConnectionError):
            return  # on the server's side: the client is gone
        self.wrong.append(f"unhandled: {context.get('message')}: {error!r}")

    async def _live(self) -> None:
        self.truth = expected(_Held(self.simulation), Crawl(SUBREDDITS))
        self._memory = psutil.Process().memory_info().rss
        await self.reddit.start()
        await self._start()
        # the credentials work before anything goes wrong; the first rows come from good answers, or from the storm's
        await asyncio.sleep(self.dice.choice((2.0, 2.0, 20.0)))
        await self._storm()
        self.notes["storm (s)"] = round(self.loop.time() - 1_000.0)
        self._check_rows()
        began = self.loop.time()
        count = len(self.reddit.requests)
        recovered = await self._calm(began)
        self.notes |= {
            "recovery": round(recovered - began, 1),
            "requests in the calm": len(self.reddit.requests) - count,
        }
        for process in self.processes:
            await process.stop()
        await self.reddit.close()

    async def _start(self) -> None:
        ports, scheme = self.reddit.ports, "https" if self.encrypted else "http"
        target = ports.get("direct", next(iter(ports.values())))
        setting = Setting(
            self.directory, self.crawled, f"{scheme}://127.0.0.1:{target}", self.with_token, self.per_minute,
            self.epoch, self.loop.time,
        )  # fmt: skip
        for way in self.ways:
            kind = "socks5" if way.startswith("socks") else "http"
            proxy = None if way == "direct" else f"{kind}://127.0.0.1:{ports[way]}"
            self.processes.append(ScraperProcess(way, proxy, setting, self.processes))
        self.loop.busy = lambda: any(process.writes for process in self.processes)
        for process in self.processes:
            await process.start()

    async def _storm(self) -> None:
        """Cause bad answers until this number of answers was given."""
        dice, reddit, end = self.dice, self.reddit, self.loop.time() + 3_600.0
        names, at_first = self._paths(), True
        goal = len(reddit.requests) + self.answers
        while len(reddit.requests) < goal and self.loop.time() < end:
            # some storms are worst at their beginning, when there are few rows
            for _ in range(dice.choice((1, 15)) if at_first else dice.randint(0, 3)):
                reddit.troubles.append(trouble(dice, self.ways, names, self.epoch()))
            at_first = False
            if dice.random() < 0.02:
                self.simulation.reddit.tokens.expire_all()
            if dice.random() < 0.02:
                process = dice.choice(self.processes)
                await process.stop(gracefully=dice.random() < 0.5)
                await process.start()
            await asyncio.sleep(dice.uniform(0.3, 6.0))
            self._watch()
        reddit.troubles.clear()
        self.notes |= {"answers": len(reddit.requests), "bad": reddit.bad, "families": dict(reddit.families)}

    def _paths(self) -> list[str]:
        return [f"/r/{row['name']}" for row in self.truth.subreddits.values() if "name" in row] + [
            f"/user/{row['username']}" for row in self.truth.users.values() if "username" in row
        ]

    def _watch(self) -> None:
        grown = psutil.Process().memory_info().rss - self._memory
        self.notes["grown (MiB)"] = max(self.notes.get("grown (MiB)", 0), grown >> 20)
        if grown > MEMORY:
            self.wrong.append(f"{grown >> 20} MiB more than at the start")

    def _check_rows(self) -> None:
        """Check the present rows: correct or absent, and no lasting state that was not served."""
        saved, served = Saved.of(self.tables), _by_name(self.reddit.served)
        for kind, key, rows, must in (
            ("subreddit", "name", saved.subreddits, self.truth.subreddits),
            ("user", "username", saved.users, self.truth.users),
            ("post", "reddit_id", saved.posts, self.truth.posts),
        ):
            for row in rows:
                name = str(row[key]).lower()
                if name not in must:
                    self.wrong.append(f"there is no {kind} {name}")
                elif row.get("state", "open") is not None and name not in self.reddit.tampered:
                    self._check_row(kind, name, row, must[name], served)

    def _check_row(self, kind: str, name: str, row: dict[str, Any], must: dict[str, Any], served: "_Answers") -> None:
        state = row.get("state")
        if state != must.get("state") and state in _LASTING:
            if not _is_justified(served[name]):
                self.wrong.append(f"{kind} {name} is {state} after {_told(served[name])}")
            self.notes["justified"] = self.notes.get("justified", 0) + 1
            return
        if state in _LASTING:
            return
        different = [column for column, value in must.items() if column in row and not same(value, row[column])]
        if different:
            shown = {column: (row[column], must[column]) for column in different[:3]}
            self.wrong.append(f"{kind} {name} differs from what was served: {shown}"[:500])

    async def _calm(self, began: float) -> float:
        """Wait until everything is correct; return the time of that."""
        # a name that was truly refused often enough is requested again after days: here now
        state = f"{tuple(_LASTING)} AND leased_by IS NULL"
        due = f"UPDATE reddit_frontier SET due_at = '2020-01-01 00:00:00.000000' WHERE state IN {state}"
        await asyncio.to_thread(self.tables.execute, due)  # a transaction of the crawl may hold the file
        since = self.epoch()
        left: list[str] = []
        while self.loop.time() < began + RECOVERY:
            await asyncio.sleep(10.0)
            self._watch()
            left = self._left(since)
            if not left:
                return self.loop.time()
        self.wrong += [f"after {RECOVERY:g} s of good answers: {one}" for one in left[:6]]
        return self.loop.time()

    def _left(self, since: float) -> list[str]:
        """Describe what is not correct yet."""
        left = [f"{process.name} rests: {_report(process)}" for process in self.processes if not process.works]
        left += [one for row in self._frontier() for one in self._of_frontier(row, since)]
        if left:
            return left
        ledger = compare(self.truth, Saved.of(self.tables), Crawl(SUBREDDITS))
        return [] if ledger.clean else [ledger.summary()]

    def _frontier(self) -> list[dict[str, Any]]:
        return self.tables.rows("SELECT *, strftime('%s', done_at) AS done FROM reddit_frontier")

    def _of_frontier(self, row: dict[str, Any], since: float) -> list[str]:
        name = row["name"]
        if row["depth"] > self.crawled.max_depth:
            return []
        if row["done"] is None or int(row["done"]) < since - 1:
            return [f"r/{name} was not asked for: {dict(row)}"]
        wanted = self.truth.subreddits.get(name, {"state": "missing"})["state"]
        if row["state"] != wanted and not row["leased_by"]:
            return [f"r/{name} is {row['state']} instead of {wanted}"]
        if wanted == "open" and (row["error"] or row["doubts"]):
            return [f"r/{name} still has {row['error'] or row['doubts']}"]
        return []

    def _check_rates(self) -> None:
        """Check for storms of requests, and for more requests than the quota allows."""
        if self.with_token:
            most = _most_within(self.reddit.requests, WINDOW)
            if most > 2.0 * self.per_minute * WINDOW / 60.0 + 50:
                self.wrong.append(f"{most} requests within {WINDOW:g} s")
        for (way, target), moments in self.reddit.asked.items():
            most = _most_within(list(moments), 60.0)
            limit = _TOKENS if "access_token" in target else _SAME
            self.notes["most of one"] = max(self.notes.get("most of one", 0), most)
            if most > limit:
                self.wrong.append(f"{target} was asked for {most} times in a minute through {way}")


_Answers = dict[str, list[Served]]


class _Held:
    """The simulator's truth in the form that the ledger requires."""

    def __init__(self, simulation: Simulation) -> None:
        self._truth = CrawlTruth(simulation.crawl)

    def held_of(self, *, subreddits: Any = (), users: Any = ()) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._truth.held_of(subreddits, users)]

    def posts_of(self, ids: Any) -> list[dict[str, Any]]:
        return [json.loads(line)["data"] for line in self._truth.posts_of(ids)]


def _by_name(served: list[Served]) -> _Answers:
    names: _Answers = defaultdict(list)
    for one in served:
        names[one.asked.name.lower()].append(one)
    return names


def _is_justified(answers: list[Served]) -> bool:
    """Return whether bad answers about the name came twice, SHORT_INTERVAL apart or more, no good one between.

    That is how an unexplained refusal becomes a fact; for a user two calls in a row with 404 are enough.
    """
    first: float | None = None
    for one in answers:
        if one.asked.address not in {"about", "user", "submitted"} or (
            one.asked.address == "submitted" and not one.family
        ):
            continue
        if not one.family:
            first = None
        elif first is None:
            first = one.at
        elif one.at - first >= SHORT_INTERVAL or one.asked.address == "submitted":
            return True
    return False


def _told(answers: list[Served]) -> str:
    shown = [
        f"{one.at % 10_000:.1f} {one.way} {one.asked.address} {one.family or 'good'} {one.status}" for one in answers
    ]
    return "; ".join(shown[-12:])


def _report(process: ScraperProcess) -> str:
    report = process.client.report() if process.client is not None else None
    return "it is closed" if report is None else f"{report.state}, {report.last_error}"


def _is_error(entry: Any) -> bool:
    return entry["event"] in _ERRORS or entry.get("exc_info") is True


def _most_within(moments: list[float], seconds: float) -> int:
    ordered = sorted(moments)
    return max((place - bisect.bisect_left(ordered, at - seconds) + 1 for place, at in enumerate(ordered)), default=0)


def _server_side(authority: Authority) -> Any:
    import ssl  # noqa: PLC0415 (only where it is needed)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certificate, authority.key)
    return context


def born(directory: Path, seed: int, answers: int, log: Callable[[str], None] = lambda _: None) -> ScraperLife:
    """Return the life of this seed."""
    life = ScraperLife(directory, seed, answers)
    log(f"seed {seed}: {life.ways}, token {life.with_token}, TLS {life.encrypted}, {life.per_minute} a minute")
    return life
