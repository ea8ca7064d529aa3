"""The crawl world over HTTP: access, latency, the truth, and the request counts."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from tests.simulator.client import QUIET, Running

WORLD = ("--crawl-subreddits", "12", "--crawl-posts", "40", "--subreddits", "Alpha", "Beta")
RAW = {"raw_json": 1}


@pytest.fixture(scope="module")
def own() -> Iterator[Running]:
    with Running(*QUIET, *WORLD, "--crawl-suspended-share", "0.1", "--crawl-gone-share", "0.1") as running:
        yield running


@pytest.fixture
def crawl(own: Running) -> Iterator[Running]:
    own.control("DELETE", "faults")
    own.sign_in()
    yield own
    own.post("latencies", about=0)


def lines(running: Running, name: str, body: Any = None) -> list[dict[str, Any]]:
    answer = running.control("GET" if body is None else "POST", f"crawl/{name}", body)
    assert answer.status_code == 200, answer.text
    # splitlines() would also break at signs that only text knows, such as U+2028
    return [json.loads(line) for line in answer.content.split(b"\n") if line]


def ids(running: Running, path: str, **params: Any) -> list[str]:
    children = running.get(path, **RAW, **params).json()["data"]["children"]
    return [child["data"]["id"] for child in children]


def test_all_that_is_served_is_held_and_nothing_else(crawl: Running) -> None:
    held = lines(crawl, "held")
    posts = {post["data"]["id"]: post for post in lines(crawl, "posts")}
    assert len(posts) == len(lines(crawl, "posts"))
    listed = {one for line in held for key in ("hot", "week", "year", "submitted") for one in line.get(key, ())}
    assert listed <= set(posts)
    for line in held:
        check = _subreddit if line["kind"] == "subreddit" else _user
        check(crawl, line, posts)
    assert sum(line["kind"] == "subreddit" for line in held) == 12


def _subreddit(crawl: Running, line: dict[str, Any], posts: dict[str, Any]) -> None:
    name = line["name"]
    about = crawl.get(f"/r/{name}/about", **RAW)
    if line["state"] != "public":
        assert about.status_code in {403, 404}
        assert about.json()["reason"] == line["state"]
        return
    assert about.json() == {"kind": "t5", "data": line["about"]}
    assert crawl.get(f"/r/{name}/about/rules", **RAW).json()["rules"] == line["rules"]
    assert ids(crawl, f"/r/{name}/hot", limit=30) == line["hot"][:30]
    assert ids(crawl, f"/r/{name}/top", limit=10, t="week") == line["week"][:10]
    assert ids(crawl, f"/r/{name}/top", limit=100, t="year") == line["year"][:100]
    children = crawl.get(f"/r/{name}/hot", **RAW, limit=100).json()["data"]["children"]
    assert children == [posts[one] for one in line["hot"]]


def _user(crawl: Running, line: dict[str, Any], posts: dict[str, Any]) -> None:
    about = crawl.get(f"/user/{line['name'].upper()}/about", **RAW)
    submitted = crawl.get(f"/user/{line['name']}/submitted", **RAW, limit=30)
    if line["state"] == "missing":
        assert (about.status_code, submitted.status_code) == (404, 404)
        return
    assert about.json() == {"kind": "t2", "data": line["about"]}
    if line["state"] == "suspended":
        assert about.json()["data"]["is_suspended"] is True
        assert submitted.status_code == 403
        return
    assert submitted.json()["data"]["children"] == [posts[one] for one in line["submitted"][:30]]


def test_what_is_held_can_be_asked_for_by_name(crawl: Running) -> None:
    alpha = lines(crawl, "held", {"subreddits": ["ALPHA", "Nowhere"], "users": ["nobody"]})
    assert [line["name"] for line in alpha] == ["Alpha"]
    wanted = alpha[0]["hot"][:3]
    posts = lines(crawl, "posts", {"ids": [*wanted, "unknown", "zzzzzzz"]})
    assert [post["data"]["id"] for post in posts] == wanted
    assert crawl.control("POST", "crawl/posts", {"ids": "all"}).status_code == 400


def test_a_closed_subreddit_is_closed_on_every_address(crawl: Running) -> None:
    generated = next(line["name"] for line in lines(crawl, "held") if line["name"] not in {"Alpha", "Beta"})
    for name in ("Beta", generated):
        for state, status in (
            ("private", 403),
            ("banned", 404),
            ("quarantined", 403),
            ("missing", 302),
            ("public", 200),
        ):
            crawl.post("subreddits", name=name.lower(), state=state)
            for part in ("about", "about/rules", "hot", "top"):
                assert crawl.get(f"/r/{name}/{part}").status_code == status
    crawl.post("subreddits", name="Omega")
    assert crawl.get("/r/omega/about").json()["data"]["display_name"] == "Omega"
    assert generated not in crawl.stats()["subreddits"], "the moving world knows nothing of it"


def test_who_has_no_token_is_blocked(crawl: Running) -> None:
    for path in ("/r/Alpha/about.json", "/user/x/about.json", "/r/Alpha/hot"):
        answer = requests.get(crawl.url + path, timeout=10)
        assert answer.status_code == 403
        assert "html" in answer.headers["Content-Type"]
    answer = requests.get(f"{crawl.url}/r/Alpha/about", headers={"Authorization": "bearer old"}, timeout=10)
    assert answer.status_code == 401


def test_plain_json_addresses_are_answered_without_a_token_if_that_is_allowed() -> None:
    with Running(*QUIET, *WORLD, "--anonymous", "--anonymous-quota", "4") as running:
        paths = ("/r/Alpha/about.json", "/r/Alpha/new.json", "/user/nobody/about.json", "/r/Alpha/hot.json/")
        assert [running.get(path).status_code for path in paths] == [200, 200, 404, 200]
        refused = running.get("/r/Alpha/about.json")
        assert (refused.status_code, refused.headers["X-Ratelimit-Remaining"]) == (429, "0.0")
        assert running.get("/r/Alpha/about").status_code == 403, "no plain page is"
        running.sign_in()
        assert running.get("/r/Alpha/about").status_code == 200, "a client id has a quota of its own"


def test_counts_tell_what_was_asked_and_what_arrived_whole(crawl: Running) -> None:
    before = crawl.control("GET", "crawl/asked").json()
    agent = {"User-Agent": "counted"}
    for path in ("/r/ALPHA/about", "/r/alpha/hot", "/r/Nowhere/about", "/user/nobody/submitted"):
        requests.get(crawl.url + path, headers=agent, timeout=10)
    crawl.get("/r/alpha/about")
    crawl.post("faults", truncated_json=1)
    crawl.get("/r/alpha/about")
    crawl.control("DELETE", "faults")
    after = crawl.control("GET", "crawl/asked").json()
    assert after["by_user_agent"]["counted"] == 4
    asked, answered = ({**after[kind]["subreddits"]["alpha"]} for kind in ("asked", "answered"))
    for counts, kind in ((asked, "asked"), (answered, "answered")):
        for address, count in before[kind]["subreddits"].get("alpha", {}).items():
            counts[address] -= count
    assert (asked["about"], asked["hot"], answered["about"]) == (3, 1, 1)
    assert after["asked"]["users"]["nobody"] == {"submitted": 1}
    assert "nobody" not in after["answered"]["users"]
    assert crawl.stats()["by_path"]["(crawl) about"] == after["asked"]["by_address"]["about"]
    assert after["asked"]["by_address"]["about"] - before["asked"]["by_address"]["about"] == 4


def test_each_address_takes_its_own_time(crawl: Running) -> None:
    assert crawl.post("latencies", about=0.3)["about"] == 0.3
    quick = min(_seconds(crawl, "/r/Alpha/about/rules") for _ in range(5))
    assert quick < 0.3 <= _seconds(crawl, "/r/Alpha/about")
    assert crawl.control("GET", "latencies").json()["rules"] == 0.0
    for body in ({"aboot": 1}, {"about": -1}, {"about": "long"}, {"about": True}):
        assert "error" in crawl.control("POST", "latencies", body).json()


def test_an_empty_page_never_strikes_where_nothing_could_tell(crawl: Running) -> None:
    crawl.post("faults", empty_page=1)
    assert len(ids(crawl, "/r/Alpha/hot", limit=5)) == 5


def test_one_connection_may_change_from_simple_requests_to_others_and_back(crawl: Running) -> None:
    request = f"GET /r/Alpha/about/rules HTTP/1.1\r\nHost: x\r\nAuthorization: bearer {crawl.token()}\r\n\r\n".encode()
    port = int(crawl.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        whole = _ask(connection, request)
        assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
        assert _ask(connection, request[:40], request[40:]) == whole, "in two pieces"
        assert b"comments" in _ask(connection, b"GET /_sim/stats HTTP/1.1\r\nHost: x\r\n\r\n")
        assert _ask(connection, request) == whole


def _ask(connection: socket.socket, *pieces: bytes) -> bytes:
    """Return the first line and the body of one answer."""
    for piece in pieces:
        connection.sendall(piece)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65536)
    return head.partition(b"\r\n")[0] + b"\r\n" + body


def test_it_speaks_tls_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    trusted, chain, key = (tmp_path / name for name in ("ca.pem", "chain.pem", "key.pem"))
    authority.cert_pem.write_to_path(trusted)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(key)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    tls = ("--tls-certificate", str(chain), "--tls-key", str(key), "--anonymous")
    with Running(*QUIET, *WORLD, *tls) as running:
        assert running.url.startswith("https://")
        about = requests.get(f"{running.url}/r/Alpha/about.json", verify=str(trusted), timeout=10)
        assert about.json()["data"]["display_name"] == "Alpha"
        rules = requests.get(f"{running.url}/_sim/stats", verify=str(trusted), timeout=10)
        assert rules.status_code == 200


def _seconds(crawl: Running, path: str) -> float:
    start = time.monotonic()
    crawl.get(path)
    return time.monotonic() - start
