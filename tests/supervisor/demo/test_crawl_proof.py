"""The comparison of the simulated Reddit with the database."""

import copy
import json

from supervisor.demo.crawl_proof import Count, lines, prove_crawl
from supervisor.demo.crawl_world import Tables
from tests.supervisor.demo.reddit import WISH, world


def everything() -> Tables:
    return world().rows(world().reach(WISH), WISH)


def test_all_is_there_and_right() -> None:
    proof = prove_crawl(everything(), everything(), everything())
    assert proof.holds
    assert proof.counts["posts"] == Count(held=11, saved=11)
    assert (proof.total("held"), proof.total("saved")) == (19, 19)
    text = "\n".join(lines(proof))
    assert "  held                3           2          11           3   in the simulated Reddit" in text
    assert "  including subreddits: 1 private; users: 1 suspended" in text


def test_what_is_missing_wrong_or_made_up_is_counted_and_named() -> None:
    saved = copy.deepcopy(everything())
    del saved["posts"]["a1"]
    saved["users"]["ann"]["link_karma"] = 4
    saved["rules"]["alpha 2"] = {}
    proof = prove_crawl(everything(), everything(), saved)
    assert not proof.holds
    assert proof.counts["posts"] == Count(held=11, saved=10, missing=1)
    assert proof.counts["users"] == Count(held=3, saved=3, wrong=1)
    assert proof.counts["rules"] == Count(held=2, saved=2, unknown=1)
    assert [json.loads(line) for line in proof.evidence] == [
        {"table": "rules", "key": "alpha 2", "what": "unknown"},
        {"table": "posts", "key": "a1", "what": "missing"},
        {"table": "users", "key": "ann", "what": "wrong", "saved_and_held": {"link_karma": [4, 3]}},
    ]


def test_a_crawl_cut_short_owes_what_it_came_to() -> None:
    """Rows of unfinished visits do not count as unknown."""
    visited = world().rows(["alpha"], WISH)
    saved = world().rows(["alpha", "beta"], WISH)
    proof = prove_crawl(visited, everything(), saved, left=2)
    assert proof.holds
    assert proof.counts["subreddits"] == Count(held=1, saved=1)
    assert "2 subreddits were not visited" in "\n".join(lines(proof))
