"""All parts of one simulator, assembled."""

import random
import time
from collections.abc import Callable
from email.utils import formatdate

from simulator import texts
from simulator.answer import Answer
from simulator.changes import Changes
from simulator.crawl import templates
from simulator.crawl.api import CrawlApi
from simulator.crawl.crawl_paths import CrawlRequest, Latencies
from simulator.crawl.crawl_render import CrawlRenderer
from simulator.crawl.served_world import CrawlWorld
from simulator.faults import Endpoint, Faults
from simulator.hiding import Hiding
from simulator.reddit import Anonymous, Reddit, counted_path, endpoint
from simulator.render import Renderer
from simulator.rules import Rules
from simulator.served_quota import Quota
from simulator.settings import Settings
from simulator.tokens import Credentials, Tokens
from simulator.traffic import CrawlTraffic, Traffic
from simulator.world import World

Clock = Callable[[], float]


def steady_clock() -> Clock:
    """Return a clock of epoch seconds that never jumps, even if the machine's does."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset


class Simulation:
    """The world, the API in front of it, the faults, and the counters of requests."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        now = clock()
        self.world = World(settings, now)
        self.faults = Faults(random.Random(f"{settings.seed} faults"))
        self.faults.change(settings.faults, now)
        self.rules = Rules(random.Random(f"{settings.seed} rules"))
        for rule in settings.rules:
            self.rules.add(rule, now)
        self._frozen_until = now + settings.freeze
        self.traffic = Traffic(now)
        self.latencies = Latencies(settings.latencies)
        self.crawl_traffic = CrawlTraffic()
        found = texts.read(settings.texts)
        crawl_world = CrawlWorld(settings.crawl, settings.subreddits, settings.seed, self.world.state)
        crawl_renderer = CrawlRenderer(templates.complete(found, settings.seed))
        self.crawl = CrawlApi(crawl_world, crawl_renderer, settings.crawl.cache * 2**20)
        renderer = Renderer(texts.complete(found, settings.seed))
        self.changes = Changes(self.world, settings.changes, renderer.original, settings.seed)
        self.hiding = Hiding(self.world, settings.seed)
        self._watch_items(now)
        announced, limit = settings.announced_lifetime, settings.anonymous_quota
        self.reddit = Reddit(
            self.world,
            renderer,
            Tokens(
                Credentials(settings.client_id, settings.client_secret),
                settings.token_lifetime,
                random.Random(f"{settings.seed} tokens"),
            ),
            Quota(settings.quota, settings.window),
            crawl=self.crawl,
            announced_lifetime=settings.token_lifetime if announced is None else announced,
            lenient_combined=settings.lenient_combined,
            anonymous=Anonymous(Quota(limit, settings.window) if limit else None) if settings.anonymous else None,
        )

    def _watch_items(self, now: float) -> None:
        """Apply the settings of changes and hidden items to the backlog and to all future items."""
        for rule in self.settings.hide:
            self.hiding.add(rule, now)
        for item in list(self.world.truth()):
            self.changes.schedule(item, now)
        if not self.changes.none:
            self.world.watchers.append(self.changes.schedule)
        self.world.watchers.append(self.hiding.watch)

    def now(self) -> float:
        """Advance the world to the present and return the time."""
        now = self.clock()
        self.world.advance(now)
        return now

    @property
    def clock_offset(self) -> float:
        """Seconds by which the clock that clients see is ahead of this machine's."""
        return self.world.clock_offset

    @clock_offset.setter
    def clock_offset(self, seconds: float) -> None:
        self.now()
        self.world.clock_offset = seconds

    def client_time(self) -> float:
        """Return the time that clients see."""
        return self.clock() + self.clock_offset

    def date_header(self) -> str | None:
        """Return the `Date` of an answer; None while the web server's own is right."""
        return formatdate(self.client_time(), usegmt=True) if self.clock_offset else None

    @property
    def frozen(self) -> bool:
        """Whether requests are accepted and not answered."""
        return self.clock() < self._frozen_until

    def freeze(self, seconds: float) -> None:
        """Answer nothing for some seconds; 0 ends it."""
        self._frozen_until = self.clock() + seconds

    def immediate(self, asked: CrawlRequest) -> bool:
        """Return whether a request is answered at once, and certainly without faults."""
        return self.faults.none and self.rules.none and not self.latencies.of(asked.address) and not self.frozen

    def arrived(
        self, path: str, asked: CrawlRequest | None, authorization: str | None, user_agent: str, now: float
    ) -> None:
        """Count a request."""
        client = self.reddit.tokens.client(authorization, now)
        listing = asked is None and endpoint(path) is Endpoint.LISTING
        # their many names would push the other paths out of the counts
        counted = counted_path(path) if asked is None else f"(crawl) {asked.address}"
        self.traffic.asked(counted, client, listing=listing, now=now)
        if asked is not None:
            self.crawl_traffic.note(asked, user_agent)

    def written(self, answer: Answer) -> None:
        """Record what a complete, good answer showed."""
        if answer.asked is not None:
            self.crawl_traffic.answered(answer.asked)
        if answer.items:
            now = self.clock()
            for item in answer.items:
                self.world.counts["shown"] += item.shown_at is None
                item.show(now)
