"""The sections of the configuration: every key with its type, default and meaning."""

# ruff: noqa: RUF009  setting() gives a dataclass field, which carries its default safely

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.config import addresses, parsers, secret_texts
from core.config.kafka_properties import Property, producer
from core.config.proxies import Proxy, process_name, proxies
from core.config.secret_texts import Secrets
from core.config.setting import Section, Setting, never, setting, settings_of
from core.stream_kinds import reads_listing, stream_names

_SUBREDDITS = (
    "CryptoCurrency",
    "Bitcoin",
    "ethereum",
    "CryptoMarkets",
    "bitcoinmarkets",
    "ethtrader",
    "CryptoTechnology",
)


@dataclass(frozen=True, slots=True, repr=False)
class RedditSection(Section):
    """Reddit: the subreddits, the server, the credentials and the request rate."""

    subreddits: tuple[str, ...] = setting(
        parsers.subreddits, _SUBREDDITS, "subreddits whose submissions and comments are captured"
    )
    reddit_url: str = setting(
        addresses.http_url, "https://www.reddit.com", "server for access tokens", plain=addresses.is_plain
    )
    oauth_url: str = setting(
        addresses.http_url, "https://oauth.reddit.com", "server for data", plain=addresses.is_plain
    )
    requests_per_minute: int = setting(
        parsers.whole(1), 100, "quota of the client id, shared by all processes that use it"
    )
    client_id: str = setting(
        parsers.header_text, "", "id of the application at Reddit", variable="REDDIT_CLIENT_ID", in_file=False
    )
    client_secret: str = setting(
        parsers.header_text,
        "",
        "secret of the application at Reddit",
        variable="REDDIT_CLIENT_SECRET",
        secret=True,
        in_file=False,
    )
    user_agent: str = setting(
        parsers.header_text, "", "User-Agent, as Reddit's rules require it", variable="REDDIT_USER_AGENT", in_file=False
    )


@dataclass(frozen=True, slots=True, repr=False)
class StreamsSection(Section):
    """The live capture."""

    submissions: bool | tuple[str, ...] = setting(
        parsers.switch_or_subreddits, default=True, doc="capture submissions; a list: of these subreddits only"
    )
    comments: bool | tuple[str, ...] = setting(
        parsers.switch_or_subreddits, default=True, doc="capture comments; a list: of these subreddits only"
    )
    start: str = setting(
        parsers.choice("backlog", "now"),
        "backlog",
        "at the first start: capture everything that is listed, or new items only",
    )
    max_poll_interval: float = setting(parsers.seconds(), 16.0, "longest time between two polls of a stream")
    payload: str = setting(
        parsers.choice("full", "record"),
        "full",
        "full: a record also has `reddit`, the object that Reddit served; record: only its own fields",
    )

    @property
    def enabled(self) -> tuple[str, ...]:
        """The names of the enabled streams."""
        return tuple(name for name in stream_names() if getattr(self, name, False))

    def own_list(self, stream: str) -> tuple[str, ...]:
        """Return the subreddits that the stream lists itself; empty: those of `reddit.subreddits`."""
        switch = getattr(self, stream, True)
        return switch if isinstance(switch, tuple) else ()


@dataclass(frozen=True, slots=True, repr=False)
class TopicsSection(Section):
    """A topic for each kind of records."""

    submissions: str = setting(addresses.other_topic, "", "topic of the submissions; empty: kafka.topic")
    comments: str = setting(addresses.other_topic, "", "topic of the comments; empty: kafka.topic")
    changes: str = setting(addresses.other_topic, "", 'topic of later changes; empty: kafka.topic + ".changes"')
    latest: str = setting(addresses.other_topic, "", "compacted topic of the newest state of each item; empty: none")


@dataclass(frozen=True, slots=True, repr=False)
class KafkaSection(Section):
    """Kafka: the destination of the records, and the delivery guarantee."""

    bootstrap_servers: str = setting(
        addresses.bootstrap_servers,
        "localhost:9092",
        'brokers, as host:port,host:port; "embedded" starts a local one',
        variable="KAFKA_BOOTSTRAP_SERVERS",
        plain=addresses.is_plain,
    )
    topic: str = setting(
        addresses.topic,
        "reddit-posts",
        "topic of the records, and base of the names of other topics",
        variable="KAFKA_TOPIC_REDDIT",
    )
    delivery: str = setting(parsers.choice("at_least_once", "exactly_once"), "at_least_once", "delivery guarantee")
    producer: dict[str, Property] = setting(
        producer, lambda: {"compression.type": "gzip"}, "properties passed to librdkafka unchanged", plain=never
    )
    topics: TopicsSection = field(default_factory=TopicsSection)

    def topic_of(self, stream: str) -> str:
        """Return the topic of the records of a stream."""
        default = self.topic if reads_listing(stream) else f"{self.topic}.{stream}"
        return str(getattr(self.topics, stream, "")) or default


@dataclass(frozen=True, slots=True, repr=False)
class ChangesSection(Section):
    """Later changes of delivered items."""

    enabled: bool = setting(
        parsers.boolean, default=False, doc="look at delivered items again, and report edits, removals and deletions"
    )
    schedule: tuple[float, ...] = setting(
        parsers.ages,
        (3600.0, 86400.0, 129600.0, 172800.0, 604800.0),
        "ages at which an item is looked at again, as the spare quota allows",
    )


@dataclass(frozen=True, slots=True, repr=False)
class ClusterSection(Section):
    """Several machines that share the subreddits."""

    enabled: bool = setting(
        parsers.boolean, default=False, doc="share the subreddits with the other machines of the group"
    )
    group: str = setting(parsers.kafka_name, "", 'consumer group of the machines; empty: "gapless-" + kafka.topic')
    instance: str = setting(
        parsers.kafka_name, "", "name of this machine, stable over restarts; empty: host name and state directory"
    )
    shards: int = setting(
        parsers.whole(1, 1024), 16, "parts into which the subreddits are divided; fixed for the life of the topic"
    )
    session_timeout: float = setting(
        parsers.seconds(), 6.0, "time of silence after which a machine loses its subreddits to the others"
    )


@dataclass(frozen=True, slots=True, repr=False)
class ScraperSection(Section):
    """The crawl of subreddits, posts and users into the database."""

    enabled: bool = setting(parsers.boolean, default=True, doc="run the scraper")
    subreddits: tuple[str, ...] = setting(parsers.subreddits, ("Bitcoin",), "subreddits where the crawl starts")
    authentication: str = setting(
        parsers.choice("oauth", "none"),
        "oauth",
        "requests with an access token, or without one to .json addresses on reddit_url",
    )
    user_agent: str = setting(
        parsers.choice("fixed", "rotate"), "fixed", "REDDIT_USER_AGENT, or User-Agents of browsers"
    )
    users_per_subreddit: int = setting(parsers.whole(0), 40, "authors of a subreddit whose profiles are read")
    concurrency: int = setting(parsers.whole(1), 20, "requests in flight per proxy")
    discover: bool = setting(parsers.boolean, default=True, doc="follow subreddits found in users' posts")
    max_depth: int = setting(parsers.whole(0), 1, "most steps of discovery from the subreddits where the crawl starts")
    refresh_after: float = setting(parsers.seconds(zero=True), 86400.0, "age at which a row is fetched again")
    max_retries: int = setting(parsers.whole(0), 3, "retries of a failed request")
    timeout: float = setting(parsers.seconds(), 15.0, "longest time for one request")
    proxies: tuple[Proxy, ...] = setting(
        proxies, (), "proxies, one process for each; without proxies, one process requests directly", plain=never
    )

    @property
    def processes(self) -> tuple[str, ...]:
        """The names of the processes that run: one for each proxy, or one without."""
        return tuple(process_name(proxy) for proxy in self.proxies or (None,)) if self.enabled else ()


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseSection(Section):
    """The scraper's database."""

    url: str = setting(
        addresses.database_url,
        "sqlite:///state/reddit.db",
        "sqlite:///PATH or postgresql://user:password@host/name",
        variable="DATABASE_URL",
        plain=addresses.is_plain_sqlite,
    )

    @property
    def sqlite_path(self) -> Path | None:
        """The file, when the database is a SQLite file."""
        return addresses.sqlite_path(self.url)


@dataclass(frozen=True, slots=True, repr=False)
class SupervisorSection(Section):
    """Files, deadlines and logs."""

    state_dir: Path = setting(
        parsers.directory, Path("state"), "directory of spools, positions and database; it must survive restarts"
    )
    log_dir: Path = setting(parsers.directory, Path("logs"), "directory of the log files, one per process")
    shutdown_timeout: float = setting(
        parsers.seconds(), 25.0, "longest time from the first SIGTERM to the end of the last process"
    )
    heartbeat_timeout: float = setting(
        parsers.seconds(), 30.0, "time without a heartbeat after which a process is replaced"
    )
    stats_interval: float = setting(parsers.seconds(), 60.0, "time between two statistics blocks")
    log_format: str = setting(
        parsers.choice("auto", "console", "json"),
        "auto",
        "format of standard error; auto: console on a terminal, else json",
    )
    log_max_bytes: int = setting(parsers.whole(1000), 10_000_000, "size at which a log file is rotated")
    log_backups: int = setting(parsers.whole(1), 5, "rotated log files that are kept per process")


@dataclass(frozen=True, slots=True, repr=False)
class MonitorSection(Section):
    """The web page, the metrics and the health checks."""

    enabled: bool = setting(parsers.boolean, default=True, doc="run the monitor")
    host: str = setting(addresses.host, "127.0.0.1", "address to listen on")
    port: int = setting(parsers.whole(0, 65535), 9108, "port to listen on; 0 selects a free one")
    token: str = setting(
        parsers.header_text,
        "",
        "password for restarting processes on the page; empty: restarts are off",
        variable="MONITOR_TOKEN",
        secret=True,
        in_file=False,
    )


@dataclass(frozen=True, slots=True, repr=False)
class Config(Section):
    """The whole configuration: plain data, frozen, and picklable for the processes that are spawned."""

    reddit: RedditSection = field(default_factory=RedditSection)
    streams: StreamsSection = field(default_factory=StreamsSection)
    kafka: KafkaSection = field(default_factory=KafkaSection)
    changes: ChangesSection = field(default_factory=ChangesSection)
    cluster: ClusterSection = field(default_factory=ClusterSection)
    scraper: ScraperSection = field(default_factory=ScraperSection)
    database: DatabaseSection = field(default_factory=DatabaseSection)
    supervisor: SupervisorSection = field(default_factory=SupervisorSection)
    monitor: MonitorSection = field(default_factory=MonitorSection)

    def subreddits_of(self, stream: str) -> tuple[str, ...]:
        """Return the subreddits that a stream captures."""
        return self.streams.own_list(stream) or self.reddit.subreddits

    @property
    def subreddits(self) -> tuple[str, ...]:
        """The subreddits of all enabled streams together, each once, by its first spelling."""
        names: dict[str, str] = {}
        for stream in self.streams.enabled:
            for name in self.subreddits_of(stream):
                names.setdefault(name.casefold(), name)
        return tuple(names.values()) or self.reddit.subreddits

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that items go to: those of the enabled streams (without any, `kafka.topic`), and `latest`."""
        records = [self.kafka.topic_of(stream) for stream in self.streams.enabled] or [self.kafka.topic]
        return tuple(dict.fromkeys(filter(None, [*records, self.kafka.topics.latest])))

    def secrets(self) -> tuple[str, ...]:
        """Return every secret text of the configuration, for `core.masking.external.hide`."""
        return self.all_secrets().texts

    def logins(self) -> tuple[tuple[str, str], ...]:
        """Return each pair of user and password that is sent encoded as one text."""
        return self.all_secrets().logins

    def all_secrets(self) -> Secrets:
        """Return both: secret texts and pairs."""
        found = secret_texts.of_client(self.reddit.client_id, self.reddit.client_secret)
        found += Secrets.of([self.monitor.token]) + secret_texts.of_url(self.database.url)
        for proxy in self.scraper.proxies:
            found += secret_texts.of_url(proxy.url)
        return found + secret_texts.of_producer(self.kafka.producer)


SECTIONS: dict[str, type[Section]] = {
    "reddit": RedditSection,
    "streams": StreamsSection,
    "kafka": KafkaSection,
    "kafka.topics": TopicsSection,
    "changes": ChangesSection,
    "cluster": ClusterSection,
    "scraper": ScraperSection,
    "database": DatabaseSection,
    "supervisor": SupervisorSection,
    "monitor": MonitorSection,
}


def all_settings() -> Iterator[Setting]:
    """Yield every key, table by table."""
    for table, section in SECTIONS.items():
        yield from settings_of(table, section)
