"""The part of the configuration that each process gets: one frozen class per kind of process, built from Config.

A process depends on its slice and on nothing else of the configuration. A reload compares slices: a process is replaced
when, and only when, its slice changed. A slice holds no secret that its process does not use. To mask secrets in its
output, a process needs all of them, since a server may echo any: it gets those beside its slice (see core.child).
"""

import socket
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.cluster.shards import client_digest, instance_name
from core.config.kafka_properties import Property
from core.config.proxies import Proxy
from core.config.secret_texts import Secrets
from core.config.sections import Config
from core.config.setting import Section
from core.stream_kinds import spool_names, stream_names


@dataclass(frozen=True, slots=True, repr=False)
class LogConfig(Section):
    """The log file of a process: its folder and size limits."""

    log_dir: Path
    max_bytes: int
    backups: int


@dataclass(frozen=True, slots=True, repr=False)
class ProcessConfig(Section):
    """The part that every process gets."""

    state_dir: Path
    logging: LogConfig


@dataclass(frozen=True, slots=True, repr=False)
class RedditAccess(Section):
    """The servers of Reddit, and the credentials for them."""

    reddit_url: str
    oauth_url: str
    user_agent: str
    client_id: str = ""
    client_secret: str = field(default="", repr=False)

    def __repr__(self) -> str:
        return f"RedditAccess(reddit_url={self.reddit_url!r}, oauth_url={self.oauth_url!r})"


@dataclass(frozen=True, slots=True, repr=False)
class ClusterConfig(Section):
    """The place of this installation among the machines that share the subreddits."""

    instance: str
    group: str
    shards: int
    session_timeout: float
    client: str  #: digest of the Reddit client id: machines with the same one share its quota


@dataclass(frozen=True, slots=True, repr=False)
class StreamConfig(ProcessConfig):
    """The slice of the process of one stream."""

    stream: str  #: "submissions" or "comments"
    subreddits: tuple[str, ...]
    start: str
    max_poll_interval: float
    sharers: int  #: streams that share the quota, this one included
    access: RedditAccess
    requests_per_minute: int
    cluster: ClusterConfig | None = None
    payload: str = "full"  #: "full": records have `reddit`, the object that Reddit served; "record": they do not
    followed: bool = False  #: the process `changes` reads the delivered records from the spool


@dataclass(frozen=True, slots=True, repr=False)
class ChangesConfig(ProcessConfig):
    """The slice of the process that looks at delivered items again."""

    schedule: tuple[float, ...]  #: ages of the looks, seconds, ascending
    latest: bool  #: a topic has the newest record of each item
    payload: str  #: of these records, as for the streams
    access: RedditAccess
    requests_per_minute: int
    exactly_once: bool = False  #: no change may be reported twice


@dataclass(frozen=True, slots=True, repr=False)
class TopicsConfig(Section):
    """The topics of the records."""

    of_stream: dict[str, str]  #: by stream
    latest: str = ""  #: empty: none


@dataclass(frozen=True, slots=True, repr=False)
class PublisherConfig(ProcessConfig):
    """The slice of the publisher."""

    bootstrap_servers: str
    topic: str  #: the base of the names of the publisher's own topics
    topics: TopicsConfig
    delivery: str
    producer: dict[str, Property]
    subreddits: tuple[str, ...] = ()
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)  #: the streams with other subreddits
    streams: tuple[str, ...] = ()  #: names of the enabled streams
    requests_per_minute: int = 100
    cluster: ClusterConfig | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ScraperConfig(ProcessConfig):
    """The slice of the scraper process of one proxy; without a proxy it requests directly."""

    proxy: Proxy | None
    processes: tuple[str, ...]  #: the names of all scraper processes
    access: RedditAccess  #: without credentials where authentication = "none"
    requests_per_minute: int
    with_token: bool  #: authentication = "oauth"
    rotate: bool  #: user_agent = "rotate"
    subreddits: tuple[str, ...]
    users_per_subreddit: int
    concurrency: int
    discover: bool
    max_depth: int  #: 0 where nothing is discovered
    refresh_after: float
    max_retries: int
    timeout: float
    database_url: str


@dataclass(frozen=True, slots=True, repr=False)
class StatusConfig(ProcessConfig):
    """The values needed to read the status of the whole system from the state files."""

    streams: tuple[str, ...]  #: names of the enabled streams
    subreddits: tuple[str, ...]  #: of all streams together
    lists: dict[str, tuple[str, ...]]  #: the streams that capture only a part of them, or others
    requests_per_minute: int
    scrapers: tuple[str, ...]  #: names of the scraper processes
    discovers: bool  #: the crawl adds the subreddits that it finds
    cluster: ClusterConfig | None = field(default=None, kw_only=True)
    changes: bool = field(default=False, kw_only=True)  #: the process `changes` is configured


@dataclass(frozen=True, slots=True, repr=False)
class MonitorConfig(StatusConfig):
    """The slice of the monitor. It uses no secret but its own token, and has the others to mask them in its output."""

    max_poll_interval: float
    kafka_servers: str
    kafka_topic: str  #: several are separated by commas
    kafka_delivery: str
    crawls_with_token: bool  #: the scraper's requests count against the quota
    database_path: Path | None  #: where the database is a file that the scraper uses
    host: str
    port: int
    token: str
    masked: Secrets


def log_config(config: Config) -> LogConfig:
    """Return the values that a process needs to write its log file."""
    settings = config.supervisor
    return LogConfig(settings.log_dir, settings.log_max_bytes, settings.log_backups)


def stream_config(config: Config, stream: str) -> StreamConfig:
    """Return the slice of the process of this stream."""
    return StreamConfig(
        state_dir=config.supervisor.state_dir,
        logging=log_config(config),
        stream=stream,
        subreddits=config.subreddits_of(stream),
        start=config.streams.start,
        max_poll_interval=config.streams.max_poll_interval,
        sharers=len(config.streams.enabled),
        access=reddit_access(config),
        requests_per_minute=config.reddit.requests_per_minute,
        cluster=cluster_config(config),
        payload=config.streams.payload,
        followed=config.changes.enabled,
    )


def changes_config(config: Config) -> ChangesConfig:
    """Return the slice of the process `changes`."""
    return ChangesConfig(
        state_dir=config.supervisor.state_dir,
        logging=log_config(config),
        schedule=config.changes.schedule,
        latest=bool(config.kafka.topics.latest),
        payload=config.streams.payload,
        access=reddit_access(config),
        requests_per_minute=config.reddit.requests_per_minute,
        exactly_once=config.kafka.delivery == "exactly_once",
    )


def publisher_config(config: Config) -> PublisherConfig:
    """Return the publisher's slice."""
    return PublisherConfig(
        state_dir=config.supervisor.state_dir,
        logging=log_config(config),
        bootstrap_servers=config.kafka.bootstrap_servers,
        topic=config.kafka.topic,
        topics=TopicsConfig({name: config.kafka.topic_of(name) for name in spool_names()}, config.kafka.topics.latest),
        delivery=config.kafka.delivery,
        producer=config.kafka.producer,
        subreddits=config.subreddits if config.cluster.enabled else (),
        lists=_lists(config) if config.cluster.enabled else {},
        streams=config.streams.enabled if config.cluster.enabled else (),
        requests_per_minute=config.reddit.requests_per_minute if config.cluster.enabled else 100,
        cluster=cluster_config(config),
    )


def _lists(config: Config) -> dict[str, tuple[str, ...]]:
    """Return the subreddits of each stream that does not capture just those of all streams together."""
    together = config.subreddits
    return {stream: names for stream in stream_names() if (names := config.subreddits_of(stream)) != together}


def scraper_config(config: Config, proxy: Proxy | None) -> ScraperConfig:
    """Return the slice of the scraper process of this proxy."""
    scraper, access = config.scraper, reddit_access(config)
    with_token = scraper.authentication == "oauth"
    return ScraperConfig(
        state_dir=config.supervisor.state_dir,
        logging=log_config(config),
        proxy=proxy,
        processes=scraper.processes,
        access=access if with_token else replace(access, client_id="", client_secret=""),
        requests_per_minute=config.reddit.requests_per_minute,
        with_token=with_token,
        rotate=scraper.user_agent == "rotate",
        subreddits=scraper.subreddits,
        users_per_subreddit=scraper.users_per_subreddit,
        concurrency=scraper.concurrency,
        discover=scraper.discover,
        max_depth=scraper.max_depth if scraper.discover else 0,
        refresh_after=scraper.refresh_after,
        max_retries=scraper.max_retries,
        timeout=scraper.timeout,
        database_url=config.database.url,
    )


def status_config(config: Config) -> StatusConfig:
    """Return the values needed to read the status."""
    return StatusConfig(
        state_dir=config.supervisor.state_dir,
        logging=log_config(config),
        streams=config.streams.enabled,
        subreddits=config.subreddits,
        lists=_lists(config),
        requests_per_minute=config.reddit.requests_per_minute,
        scrapers=config.scraper.processes,
        discovers=config.scraper.discover and config.scraper.max_depth > 0,
        cluster=cluster_config(config),
        changes=config.changes.enabled and bool(config.streams.enabled),
    )


def monitor_config(config: Config) -> MonitorConfig:
    """Return the monitor's slice."""
    status, scraper = status_config(config), config.scraper
    return MonitorConfig(
        state_dir=status.state_dir,
        logging=status.logging,
        streams=status.streams,
        subreddits=status.subreddits,
        lists=status.lists,
        requests_per_minute=status.requests_per_minute,
        scrapers=status.scrapers,
        discovers=status.discovers,
        cluster=status.cluster,
        changes=status.changes,
        max_poll_interval=config.streams.max_poll_interval,
        kafka_servers=config.kafka.bootstrap_servers,
        kafka_topic=", ".join(config.topics),
        kafka_delivery=config.kafka.delivery,
        crawls_with_token=scraper.authentication == "oauth",
        database_path=config.database.sqlite_path if scraper.enabled else None,
        host=config.monitor.host,
        port=config.monitor.port,
        token=config.monitor.token,
        masked=config.all_secrets(),
    )


def cluster_config(config: Config) -> ClusterConfig | None:
    """Return the place of this installation among several machines; None where there is only one."""
    cluster = config.cluster
    if not cluster.enabled:
        return None
    return ClusterConfig(
        instance=cluster.instance or instance_name(socket.gethostname(), str(config.supervisor.state_dir.resolve())),
        group=cluster.group or f"gapless-{config.kafka.topic}",
        shards=cluster.shards,
        session_timeout=cluster.session_timeout,
        client=client_digest(config.reddit.client_id),
    )


def reddit_access(config: Config) -> RedditAccess:
    """Return the addresses of Reddit's servers, and the credentials."""
    reddit = config.reddit
    return RedditAccess(
        reddit_url=reddit.reddit_url,
        oauth_url=reddit.oauth_url,
        user_agent=reddit.user_agent,
        client_id=reddit.client_id,
        client_secret=reddit.client_secret,
    )
