"""Rules between keys: each value may be valid alone, and the combination still cannot run."""

import re
from collections.abc import Iterator, Mapping

from core.config.addresses import EMBEDDED, LONGEST_TOPIC
from core.config.sections import Config
from core.errors import Problem
from core.masking.redact import show
from core.stream_kinds import stream_names

#: Limits of `cluster.session_timeout`, seconds: below, a pause of the network looks like a death; the upper one is
#: the brokers' default group.max.session.timeout.ms.
_SHORTEST_SESSION_S = 1.0
_LONGEST_SESSION_S = 1800.0

#: Default of the brokers' group.min.session.timeout.ms, in seconds.
BROKERS_SHORTEST_SESSION_S = 6.0

_DOTENV = {
    "client_id": "REDDIT_CLIENT_ID=",
    "client_secret": "REDDIT_CLIENT_SECRET=",
    "user_agent": "REDDIT_USER_AGENT=linux:gapless:v0.1 (by /u/YOUR_NAME)",
}

#: Placeholders from examples, ours and others', that were not replaced.
_PLACEHOLDER = re.compile(
    r"""\A(?: <.*> | \[.*\] | \{.*\} | \$\{?\w+\}? | your[\W_].* | .*[\W_]here | x{3,} | \.{3,} | \*{3,}
    | (?:change|replace)[\W_]?(?:me|this) | insert[\W_].* | todo | tbd | placeholder )\Z""",
    re.IGNORECASE | re.VERBOSE,
)
_NAMELESS = re.compile(
    r"your[ _-]?(?:reddit[ _-]?)?(?:user[ _-]?)?name|<[^>]*(?:name|user|app|version|platform)[^>]*>", re.IGNORECASE
)


def check(config: Config, *, credentials: bool) -> Iterator[Problem]:
    """Yield a problem for each combination of values that cannot run."""
    if any(not config.subreddits_of(stream) for stream in config.streams.enabled):
        yield _empty("reddit.subreddits", "or set both streams.submissions and streams.comments to false")
    if config.scraper.enabled and not config.scraper.subreddits:
        yield _empty("scraper.subreddits", "or set scraper.enabled = false")
    yield from _topics(config)
    if config.changes.enabled and not config.streams.enabled:
        advice = "looks at the items of the streams again, and both are off: set it to false, or switch a stream on"
        yield Problem("changes.enabled", advice, "true")
    if config.cluster.enabled:
        yield from _cluster(config)
    if credentials:
        yield from _missing_credentials(config)
        yield from _placeholders(config)


def _topics(config: Config) -> Iterator[Problem]:
    """Yield a problem for each topic that serves two purposes which exclude each other."""
    kafka = config.kafka
    own = {f"{kafka.topic}{ending}": ending for ending in (".positions", ".control", ".state")}
    records = {stream: kafka.topic_of(stream) for stream in stream_names()}
    changes, latest = kafka.topic_of("changes"), kafka.topics.latest
    for stream, topic in {**records, "changes": changes, "latest": latest}.items():
        if topic in own and topic != kafka.topic:
            advice = f"belongs to Gapless (kafka.topic + {own[topic]!r}): choose another name".replace("'", '"')
            yield Problem(f"kafka.topics.{stream}", advice, show(topic))
    for stream, topic in records.items():
        if topic == changes and not kafka.topics.changes:
            advice = (
                "is also the default topic of changes, whose events the consumers of records do not know: choose"
                " another name, or set kafka.topics.changes (to the same name if that is what you want)"
            )
            yield Problem(f"kafka.topics.{stream}", advice, show(topic))
    others = {"kafka.topic": kafka.topic} | _keys({**records, "changes": changes})
    shared = [key for key, topic in others.items() if topic == latest]
    if latest and shared:
        advice = (
            f"must differ from {' and '.join(shared)}: a compacted topic keeps only the newest record of each item, so"
            f' records would be lost there; choose another name, such as "{kafka.topic}.latest"'
        )
        yield Problem("kafka.topics.latest", advice, show(latest))
    yield from _unusable_names(config)


def _unusable_names(config: Config) -> Iterator[Problem]:
    """Yield a problem for each topic that no broker creates."""
    kafka = config.kafka
    endings = [".positions"] if kafka.delivery == "exactly_once" else []
    endings += [".control", ".state"] if config.cluster.enabled else []
    if (most := LONGEST_TOPIC - max(map(len, endings), default=0)) < len(kafka.topic):
        advice = f"must have at most {most} characters: Gapless adds {' and '.join(endings)} for topics of its own"
        yield Problem("kafka.topic", advice, show(kafka.topic))
    used = {f"kafka.topics.{stream}": kafka.topic_of(stream) for stream in config.streams.enabled}
    used |= {f"kafka.topic + {ending}": kafka.topic + ending for ending in endings}
    used |= {"kafka.topics.changes": kafka.topic_of("changes"), "kafka.topics.latest": kafka.topics.latest}
    first: dict[str, tuple[str, str]] = {}
    for key, topic in used.items():
        other_key, other = first.setdefault(topic.replace(".", "_"), (key, topic))
        if topic and topic != other:
            advice = (
                f'collides with {show(other)} ({other_key}): to Kafka, "." and "_" are the same; choose another name'
            )
            yield Problem(key, advice, show(topic))


def _keys(topics: Mapping[str, str]) -> dict[str, str]:
    return {f"kafka.topics.{stream}": topic for stream, topic in topics.items()}


def _cluster(config: Config) -> Iterator[Problem]:
    """Yield a problem for each setting with which several machines cannot share the subreddits."""
    servers, timeout = config.kafka.bootstrap_servers, config.cluster.session_timeout
    if servers == EMBEDDED:
        advice = "must name brokers that every machine of the cluster reaches, or set cluster.enabled = false"
        yield Problem("kafka.bootstrap_servers", advice, f'"{servers}"')
    if not config.streams.enabled:
        advice = "shares the subreddits of the streams, and both are off: set it to false, or switch a stream on"
        yield Problem("cluster.enabled", advice, "true")
    if not _SHORTEST_SESSION_S <= timeout <= _LONGEST_SESSION_S:
        advice = f'must be from "{_SHORTEST_SESSION_S:g}s" to "30m", such as "6s"'
        yield Problem("cluster.session_timeout", advice, f"{timeout:g}")


def session_advice(config: Config) -> str:
    """Return what to know of a session time-out that brokers refuse with their default settings; empty: nothing."""
    timeout = config.cluster.session_timeout
    if not config.cluster.enabled or timeout >= BROKERS_SHORTEST_SESSION_S:
        return ""
    return (
        f"cluster.session_timeout = {timeout:g} s is less than brokers allow by default: set it to 6 s or more, or "
        f"group.min.session.timeout.ms = {timeout * 1000:.0f} or less on every broker"
    )


def _placeholders(config: Config) -> Iterator[Problem]:
    """Yield a problem for each credential that is still a placeholder, or is more than one word."""
    needed = needed_credentials(config)
    for name, right in (
        ("client_id", "the id of your application, shown under its name at https://www.reddit.com/prefs/apps"),
        ("client_secret", 'the secret of your application, shown beside "secret" at https://www.reddit.com/prefs/apps'),
    ):
        value = getattr(config.reddit, name)
        if name not in needed or not value:
            continue
        if _PLACEHOLDER.match(value):
            yield Problem(_variable(name), f"is still a placeholder: replace it with {right}", show(value, name))
        elif len(value.split()) > 1:
            yield Problem(_variable(name), f"has more than one word: set it to {right}", "(hidden)")
    found = _NAMELESS.search(config.reddit.user_agent)
    if "user_agent" in needed and found:
        advice = (
            f"still contains the placeholder {found[0]}: replace it with your Reddit user name (Reddit requires one)"
        )
        yield Problem(_variable("user_agent"), advice, show(config.reddit.user_agent))


def _variable(name: str) -> str:
    return _DOTENV[name].partition("=")[0]


def _empty(key: str, otherwise: str) -> Problem:
    return Problem(key, f'must name at least one subreddit, such as ["Bitcoin"], {otherwise}', "[]")


def needed_credentials(config: Config) -> tuple[str, ...]:
    """Return the missing credentials that the enabled parts need."""
    scraper = config.scraper
    if config.streams.enabled or (scraper.enabled and scraper.authentication == "oauth"):
        return tuple(_DOTENV)
    return ("user_agent",) if scraper.enabled and scraper.user_agent == "fixed" else ()


def _missing_credentials(config: Config) -> Iterator[Problem]:
    missing = [name for name in needed_credentials(config) if not getattr(config.reddit, name)]
    if not missing:
        return
    lines = [_DOTENV[name] for name in missing]
    names = ", ".join(line.partition("=")[0] for line in lines)
    example = "\n".join(f"    {line}" for line in lines)
    yield Problem(
        f"missing: {names}",
        'create an application of the type "script" at https://www.reddit.com/prefs/apps, then put these lines into a\n'
        "file named .env in the directory where you start Gapless (or set these variables in the environment):\n\n"
        f"{example}",
    )
