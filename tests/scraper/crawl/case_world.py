"""The world of the cases: a Reddit that stands still, with rules that answer some addresses otherwise."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from scraper.crawl.subreddit_job import SubredditJob
from scraper.store.store import Store
from tests.scraper.crawl.stage import Stage
from tests.scraper.http.clients import running
from tests.scraper.http.repeating import Again, RepeatingReddit, usual_answer

CASES = Path(__file__).parents[1] / "cases"


def case(name: str) -> dict[str, Any]:
    """Read the input of a case."""
    (path,) = CASES.glob(f"{name}-*.json")
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


class CaseReddit(RepeatingReddit):
    """Answers by rules; the user agent says which way a request came."""

    def __init__(self, rules: list[dict[str, Any]], *again: Again) -> None:
        super().__init__(*again, latency=0.0)
        self.rules = rules

    def answer(self, target: str, agent: str) -> bytes:
        path = target.partition("?")[0].removesuffix(".json")
        for rule in self.rules:
            if rule.get("through", agent) == agent and re.search(rule["path"], path):
                return _written(rule["answer"])
        return usual_answer(target)


def _written(answer: dict[str, Any]) -> bytes:
    body = str(answer.get("body", "")).encode()
    headers = {"Content-Length": len(body), "Content-Type": answer.get("content-type", "text/html")}
    headers |= answer.get("headers", {})
    lines = [f"HTTP/1.1 {answer['status']} Said", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    head = "\r\n".join(lines)
    return head.encode() + body


class CaseStage(Stage):
    """Turns through the real client; each process goes its own way."""

    def __init__(self, directory: Path, rules: list[dict[str, Any]], *again: Again) -> None:
        super().__init__(directory)
        self.rules, self.again = rules, list(again)
        self.outcomes: dict[str, dict[str, int]] = {}

    def turn(self, holder: str = "direct") -> list[str]:
        """Visit all that is due now, side by side."""
        return self.turn_in(CaseReddit(self.rules, *self.again), holder)

    def turn_in(self, reddit: RepeatingReddit, holder: str = "direct") -> list[str]:
        """The same, with another Reddit."""
        visited: list[str] = []

        async def run() -> None:
            async with (
                reddit as world,
                running(world.url, user_agent=holder, concurrency=self.settings.concurrency) as client,
            ):
                store = await Store.open(f"sqlite:///{self.path}", holder=holder, clock=lambda: self.now)
                try:
                    job = SubredditJob(client, store, self.settings, self.counters, now=lambda: self.now)
                    await store.enter(self.settings.subreddits)
                    leases = await store.lease(100, max_depth=0, refresh_after=86_400.0, seconds=60.0)
                    visited.extend(lease.name for lease in leases)
                    await asyncio.gather(*map(job.run, leases))
                finally:
                    await store.close()
                self.outcomes[holder] = dict(client.report().outcomes)

        asyncio.run(run())
        return sorted(visited)
