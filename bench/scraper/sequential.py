"""The baseline: the scraper that people write first; prints its time.

A subreddit's five calls in a row, then its users by five threads with each user's two calls in a row; every call
`requests.get` with its own connection through one of the proxies, every answer committed to SQLite at once.
"""

import json
import os
import random
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

_THREADS = 5
_NOBODY = {"[deleted]", "AutoModerator"}


class Scraper:
    """Fetches and saves; `calls` counts its requests."""

    def __init__(self, url: str, database: str, proxies: list[str]) -> None:
        self._url = url
        self._proxies = proxies
        self._database = sqlite3.connect(database, check_same_thread=False)
        self._database.execute("CREATE TABLE things (id TEXT PRIMARY KEY, data TEXT)")
        self._lock = threading.Lock()
        self.calls = 0

    def subreddit(self, name: str, users: int) -> None:
        """Fetch one subreddit and the authors of its hot posts."""
        self._get(f"/r/{name}/about")
        self._get(f"/r/{name}/about/rules")
        hot = self._get(f"/r/{name}/hot", limit=30)
        self._get(f"/r/{name}/top", t="week", limit=10)
        self._get(f"/r/{name}/top", t="year", limit=100)
        authors = dict.fromkeys(child["data"]["author"] for child in hot["data"]["children"])
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._user, [author for author in authors if author not in _NOBODY][:users]))

    def _user(self, name: str) -> None:
        self._get(f"/user/{name}/about")
        self._get(f"/user/{name}/submitted", limit=30)

    def _get(self, path: str, **params: str | int) -> dict[str, Any]:
        proxy = random.choice(self._proxies)
        answer = requests.get(
            f"{self._url}{path}.json",
            params={**params, "raw_json": 1},
            headers={"User-Agent": "Mozilla/5.0"},
            proxies={"http": proxy, "https": proxy},
            timeout=15,
        )
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        things = content["data"]["children"] if content.get("kind") == "Listing" else [content]
        rows = [(thing.get("data", {}).get("name", path), json.dumps(thing)) for thing in things]
        with self._lock, self._database:
            self.calls += 1
            self._database.executemany("INSERT OR REPLACE INTO things VALUES (?, ?)", rows)
        return content


def main() -> None:
    url, database, users, *subreddits = sys.argv[1:]
    scraper = Scraper(url, database, os.environ["BENCH_PROXIES"].split())
    began = time.monotonic()
    for name in subreddits:
        scraper.subreddit(name, int(users))
    print(json.dumps({"seconds": time.monotonic() - began, "calls": scraper.calls}))


if __name__ == "__main__":
    main()
