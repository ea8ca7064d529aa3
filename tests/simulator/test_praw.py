"""PRAW itself is content with the simulator."""

from collections import Counter
from collections.abc import Iterator

import praw
import prawcore
import pytest

from tests.simulator.client import QUIET, Running


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(*QUIET, "--subreddits", "Alpha", "Beta", "--backlog", "400") as simulator:
        yield simulator


@pytest.fixture
def reddit(running: Running) -> praw.Reddit:
    return praw.Reddit(
        client_id="id",
        client_secret="secret",
        user_agent="test of the simulator",
        reddit_url=running.url,
        oauth_url=running.url,
        check_for_updates=False,
    )


def test_new_pages_through_a_combined_listing(reddit: praw.Reddit, running: Running) -> None:
    submissions = list(reddit.subreddit("Alpha+Beta").new(limit=250))
    truth = sorted(running.truth(kind="submissions").values(), key=lambda line: line["created"], reverse=True)
    assert [submission.name for submission in submissions] == [line["fullname"] for line in truth[:250]]
    assert all(submission.title and submission.created_utc for submission in submissions)


def test_comments_reach_the_end_of_the_listing(reddit: praw.Reddit) -> None:
    comments = list(reddit.subreddit("Alpha+Beta").comments(limit=None))
    assert len({comment.fullname for comment in comments}) == 400
    assert all(comment.link_id.startswith("t3_") and comment.body for comment in comments)


def test_info_finds_the_submission_of_a_comment(reddit: praw.Reddit) -> None:
    comment = next(iter(reddit.subreddit("Alpha").comments(limit=1)))
    (submission,) = reddit.info(fullnames=[comment.link_id])
    assert submission.fullname == comment.link_id


def test_raw_requests_get_raw_json(reddit: praw.Reddit) -> None:
    listing = reddit.request(method="GET", path="r/Alpha/new", params={"limit": "5", "raw_json": "1"})
    assert len(listing["data"]["children"]) == 5


def test_an_expired_token_is_renewed(reddit: praw.Reddit, running: Running) -> None:
    assert list(reddit.subreddit("Alpha").new(limit=1))
    running.post("expire-tokens")
    assert list(reddit.subreddit("Alpha").new(limit=1))


def test_closed_subreddits_raise_what_praw_documents(reddit: praw.Reddit, running: Running) -> None:
    expected = {"private": prawcore.Forbidden, "banned": prawcore.NotFound, "missing": prawcore.Redirect}
    for state, error in expected.items():
        running.post("subreddits", name="Beta", state=state)
        with pytest.raises(error):
            reddit.request(method="GET", path="r/Alpha+Beta/new")
    running.post("subreddits", name="Beta", state="public")


def test_a_whole_comment_tree_can_be_read(reddit: praw.Reddit, running: Running) -> None:
    running.generate(submissions=1, subreddit="Alpha")
    running.generate(comments=300, subreddit="Alpha")
    comments = list(reddit.subreddit("Alpha").comments(limit=300))
    link = Counter(comment.link_id for comment in comments).most_common(1)[0][0]
    submission = reddit.submission(link.removeprefix("t3_"))
    submission.comment_limit = 5
    submission.comments.replace_more(limit=None)
    found = [comment.name for comment in submission.comments.list()]
    assert len(set(found)) == len(found) > 5
    assert {comment.fullname for comment in comments if comment.link_id == link} <= set(found)
