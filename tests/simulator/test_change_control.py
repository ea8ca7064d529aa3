"""Changes and hidden items on request, over HTTP."""

import json
from typing import Any

import pytest
import requests

from tests.simulator.client import QUIET, Running


def changes(running: Running, **query: Any) -> list[dict[str, Any]]:
    answer = requests.get(f"{running.url}/_sim/truth/changes", params=query, timeout=10)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_changes_are_made_shown_and_told(simulator: Running) -> None:
    known = len(changes(simulator))
    (comment,) = simulator.generate(comments=1)
    edited = simulator.post("change", op="edit", fullname=comment, text="new")
    simulator.post("change", op="score", fullname=comment, score=-3)
    removed = simulator.post("change", op="remove", fullname=comment, by="admin")
    (child,) = simulator.get("/api/info", id=comment).json()["data"]["children"]
    assert (child["data"]["body"], child["data"]["score"]) == ("[ Removed by Reddit ]", -3)
    told = changes(simulator, since=known)
    assert [line["op"] for line in told] == ["edit", "score", "removed"]
    assert (told[0], told[2]) == (edited, removed | {"looks": 1})
    simulator.post("change", op="restore", fullname=comment)
    simulator.post("change", op="delete_account", fullname=comment)
    simulator.post("change", op="delete", fullname=comment)
    simulator.post("change", op="vanish", fullname=comment)
    assert [line["op"] for line in changes(simulator, since=removed["number"])] == [
        "restored", "deleted", "deleted", "gone",
    ]  # fmt: skip
    assert simulator.stats()["changes"] == known + 7


def test_items_are_hidden_by_name_and_by_rule(simulator: Running) -> None:
    (named,) = simulator.generate(comments=1, subreddit="Alpha")
    assert simulator.post("hide", fullnames=[named], listings="combined") == {"rules": []}
    simulator.post("hide", share=1, subreddit="Beta")
    (ruled,) = simulator.generate(comments=1, subreddit="Beta")
    assert not {named, ruled} & set(simulator.page("/r/Alpha+Beta/comments", limit=100)[0])
    assert named in simulator.page("/r/Alpha/comments", limit=100)[0]
    assert simulator.control("DELETE", "hide").json() == {"rules": []}
    truth = simulator.truth()
    assert (truth[named]["hidden"], truth[ruled]["hidden"], truth[ruled]["surfaced_at"]) == ("combined", "all", None)
    answer = simulator.get(f"/api/info?id={ruled}").json()["data"]["children"][0]["data"]
    tree = simulator.get(f"/comments/{answer['link_id'][3:]}", limit=500).json()
    assert [listing["kind"] for listing in tree] == ["Listing", "Listing"]
    assert simulator.stats()["by_path"]["(tree)"] == 1


@pytest.mark.parametrize(
    ("name", "body", "hint"),
    [
        ("change", {"op": "explode", "fullname": "t1_x"}, "one of edit, score"),
        ("change", {"op": "delete", "fullname": "t1_nobody"}, "no such item"),
        ("hide", {"share": 7}, "0 to 1"),
        ("hide", {"fullnames": "t1_x"}, "fullnames"),
        ("hide", {"fullnames": ["t1_nobody"]}, "no such item"),
    ],
)
def test_nonsense_is_refused_with_a_hint(simulator: Running, name: str, body: object, hint: str) -> None:
    answer = simulator.control("POST", name, body)
    assert answer.status_code == 400
    assert hint in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"op": "edit"}, "text"),
        ({"op": "score", "score": "many"}, "whole number"),
        ({"op": "remove", "by": "nobody"}, "automod_filtered"),
        ({"op": "restore"}, "public already"),
    ],
)
def test_an_impossible_change_is_refused_with_a_hint(simulator: Running, body: dict[str, Any], hint: str) -> None:
    (comment,) = simulator.generate(comments=1)
    answer = simulator.control("POST", "change", body | {"fullname": comment})
    assert answer.status_code == 400
    assert hint in answer.json()["error"]
    assert requests.get(f"{simulator.url}/_sim/truth/changes?since=x", timeout=10).status_code == 400


def test_options_of_changes_reach_the_world() -> None:
    options = (
        "--edited-share", "0.5", "--lost-comments-share", "1", "--score-steps", "1", "--change-seconds", "0.01", "0.02",
        "--backlog", "40", "--hide", '[{"from": 0, "kind": "submissions"}]', "--count-comments",
        "--sequential-ids", "--random-comment-ids",
    )  # fmt: skip
    with Running(*QUIET, *options) as running:
        running.sign_in()
        truth = running.truth()
        assert {line.get("hidden") for line in truth.values() if line["kind"] == "submissions"} == {"all"}
        told = changes(running)
        assert {line["op"] for line in told} >= {"score", "edit"}
        assert any(name.startswith("t1_") for name in truth)
