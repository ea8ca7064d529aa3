"""Pages as Reddit sends them: real answers of the simulator, repeated under fresh names as often as needed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson

from tests.support.simulator import Simulator

PAGE = 100


def comment_pages(count: int) -> list[bytes]:
    """Return `count` answers of /r/A+B/comments, each with a hundred comments that no other has."""
    template = template_page()
    return [orjson.dumps(_renamed(template, number)) for number in range(count)]


def newest_pages(count: int, new: int) -> list[bytes]:
    """Return the newest page at `count` polls, each with `new` comments that the one before did not have."""
    template = template_page()
    pages = [_renamed(template, number) for number in range(1 + count * new // PAGE + 1)]
    newest_first = [child for page in reversed(pages) for child in page["data"]["children"]]
    foot = len(newest_first) - PAGE
    windows = [newest_first[foot - number * new :][:PAGE] for number in range(count)]
    return [orjson.dumps(template | {"data": template["data"] | {"children": window}}) for window in windows]


def _renamed(page: dict[str, Any], number: int) -> dict[str, Any]:
    children = []
    for place, child in enumerate(page["data"]["children"]):
        own_id = f"m{number:05x}{place:02x}"
        children.append({"kind": child["kind"], "data": child["data"] | {"id": own_id, "name": f"t1_{own_id}"}})
    return page | {"data": page["data"] | {"children": children}}


def template_page() -> dict[str, Any]:
    """Fetch one answer of /r/A+B/comments with a hundred comments."""
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as directory:
        simulator = Simulator(Path(directory), backlog=PAGE, comments_per_second=0, submissions_per_second=0)
        simulator.start()
        try:
            path = f"/r/{'+'.join(simulator.subreddits)}/comments?limit={PAGE}"
            page: dict[str, Any] = orjson.loads(_get(simulator.url, path))
        finally:
            simulator.stop()
    assert len(page["data"]["children"]) == PAGE, "the simulator's backlog must fill a page"
    return page


def _get(url: str, path: str) -> bytes:
    credentials = {"Authorization": "Basic YmVuY2g6c2VjcmV0"}  # bench:secret
    form = b"grant_type=client_credentials"
    with urlopen(Request(f"{url}/api/v1/access_token", form, credentials), timeout=10) as answer:
        token = orjson.loads(answer.read())["access_token"]
    with urlopen(Request(f"{url}{path}", headers={"Authorization": f"bearer {token}"}), timeout=10) as answer:
        page: bytes = answer.read()
        return page


def in_chunks(values: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
