"""[kafka.topics] and the lists of [streams]: a topic and a subreddit list for each kind."""

import pytest

from core.config import Config, KafkaSection
from core.config.slices import monitor_config, publisher_config, stream_config
from tests.core.config.conftest import CREDENTIALS, Load, Problems


def test_without_topics_all_records_go_to_the_topic(load: Load) -> None:
    topics = publisher_config(load()).topics
    assert topics.of_stream == {
        "submissions": "reddit-posts",
        "comments": "reddit-posts",
        "changes": "reddit-posts.changes",
    }
    assert topics.latest == ""


def test_each_kind_has_its_topic_from_file_and_environment(load: Load) -> None:
    environ = CREDENTIALS | {"GAPLESS_KAFKA__TOPICS__LATEST": "newest", "GAPLESS_KAFKA__TOPICS__COMMENTS": "stronger"}
    config = load('[kafka]\ntopic = "base"\n[kafka.topics]\nsubmissions = "posts"\ncomments = "c"\n', environ=environ)
    topics = publisher_config(config).topics
    assert topics.of_stream == {"submissions": "posts", "comments": "stronger", "changes": "base.changes"}
    assert topics.latest == "newest"
    assert load("", overrides={"kafka.topics.changes": "events"}).kafka.topic_of("changes") == "events"


@pytest.mark.parametrize(
    ("text", "key", "advice"),
    [
        (
            '[kafka.topics]\nsubmision = "x"\n',
            "kafka.topics.submision",
            "one is kafka.topics.submissions",
        ),
        ('[kafka]\nlatest = "x"\n', "kafka.latest", "nearest known one is kafka.topics.latest"),
        ('[kafka.topcis]\nlatest = "x"\n', "[kafka.topcis]", "nearest known one is [kafka.topics]"),
        ('[kafka]\ntopics = "x"\n', "kafka.topics", "write [kafka.topics] on a line of its own"),
        ('[kafka.topics]\nlatest = "a b"\n', "kafka.topics.latest", "or empty for the default"),
        ('[kafka.topics]\nlatest = "reddit-posts"\n', "kafka.topics.latest", "must differ from kafka.topic"),
        ('[kafka.topics]\nlatest = "x"\ncomments = "x"\n', "kafka.topics.latest", "differ from kafka.topics.comments:"),
        (
            '[kafka.topics]\nlatest = "reddit-posts.changes"\n',
            "kafka.topics.latest",
            "from kafka.topics.changes",
        ),
        ('[kafka.topics]\ncomments = "reddit-posts.changes"\n', "kafka.topics.comments", "set kafka.topics.changes"),
        ('[kafka.topics]\ncomments = "reddit-posts.positions"\n', "kafka.topics.comments", "belongs to Gapless"),
        ('[kafka.topics]\nlatest = "reddit-posts.state"\n', "kafka.topics.latest", "belongs to Gapless"),
        (
            '[kafka.topics]\nsubmissions = "a.b"\ncomments = "a_b"\n',
            "kafka.topics.comments",
            'collides with "a.b" (kafka.topics.submissions)',
        ),
        ('[kafka.topics]\nlatest = "reddit-posts_changes"\n', "kafka.topics.latest", "choose another name"),
        (f'[kafka]\ntopic = "{"x" * 240}"\ndelivery = "exactly_once"\n', "kafka.topic", "at most 239 characters"),
        ("[streams]\ncomments = []\n", "streams.comments", "false switches the stream off"),
        ('[streams]\ncomments = ["a b"]\n', "streams.comments[1]", 'write several as "a", "b"'),
    ],
)
def test_a_wrong_topic_or_list_is_one_problem(problems: Problems, text: str, key: str, advice: str) -> None:
    (problem,) = problems(text)
    assert problem.key == key
    assert advice in problem.advice


def test_changes_may_go_to_a_topic_of_records_if_that_is_said(load: Load) -> None:
    assert load('[kafka.topics]\nchanges = "reddit-posts"\n').kafka.topic_of("changes") == "reddit-posts"


def test_a_stream_may_have_subreddits_of_its_own(load: Load) -> None:
    config = load('[reddit]\nsubreddits = ["A1", "B1"]\n[streams]\ncomments = ["r/b1", "C1"]\n')
    assert config.streams.enabled == ("submissions", "comments")
    assert stream_config(config, "submissions").subreddits == ("A1", "B1")
    assert stream_config(config, "comments").subreddits == ("b1", "C1")
    assert config.subreddits == ("A1", "B1", "C1"), "each once, by its first spelling"
    monitor = monitor_config(config)
    assert monitor.subreddits == ("A1", "B1", "C1")
    assert monitor.lists == {"submissions": ("A1", "B1"), "comments": ("b1", "C1")}


def test_a_list_is_enough(load: Load) -> None:
    config = load('[reddit]\nsubreddits = []\n[streams]\nsubmissions = false\ncomments = ["C1"]\n')
    assert config.streams.enabled == ("comments",)
    assert config.subreddits == ("C1",)


def test_a_stream_without_any_subreddit_is_a_problem(problems: Problems) -> None:
    (problem,) = problems('[reddit]\nsubreddits = []\n[streams]\ncomments = ["C1"]\n')
    assert problem.key == "reddit.subreddits"


def test_a_list_replaces_the_subreddits_of_the_command_line_too(load: Load) -> None:
    config = load('[streams]\ncomments = ["C1"]\n', overrides={"reddit.subreddits": ["Z1"]})
    assert stream_config(config, "submissions").subreddits == ("Z1",)
    assert stream_config(config, "comments").subreddits == ("C1",)


def test_the_topic_of_an_unknown_stream_is_the_base() -> None:
    assert Config(kafka=KafkaSection(topic="base")).kafka.topic_of("changes") == "base.changes"
