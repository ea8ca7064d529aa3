"""Runs the script in a thread; then makes both comparisons and requests the supervisor's stop."""

import contextlib
import threading

from core.logging import log_setup
from core.spool import SpoolReader
from core.stream_kinds import stream_names
from supervisor.demo.audit_step import audited
from supervisor.demo.changes_proof import ChangesProof, prove_changes
from supervisor.demo.crawl_proof import CrawlProof, prove_crawl
from supervisor.demo.crawl_world import CrawlSelection, CrawlWorld
from supervisor.demo.demo_script import Aborted, DemoParts, Script
from supervisor.demo.later_changes import AGES_S, LATEST
from supervisor.demo.proof import Proof, TopicRecord, prove

#: The request that ends the supervisor.
OVER = "the demo is over"

_JOIN_TIMEOUT_S = 10.0  # for the script's thread, after everything else has ended


class ScriptThread:
    """Holds the proofs, or the reason why there are none."""

    def __init__(self, script: Script, parts: DemoParts) -> None:
        self.script = script
        self.proof: Proof | None = None
        self.crawl_proof: CrawlProof | None = None
        self.changes_proof: ChangesProof | None = None
        self.audit = ""  #: the audit's sentence
        self.failure = ""
        self._parts = parts
        self._thread = threading.Thread(target=self._run, name="script", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """End now, unless it has ended."""
        self.script.abort()
        self._thread.join(_JOIN_TIMEOUT_S)

    def _run(self) -> None:
        try:
            self.script.run()
            self._parts.screen.status("auditing a random sample …")
            self.audit = audited(self._parts.config, self.script.aborted)
            self._parts.screen.status("comparing the topics and the database …")
            self.crawl_proof = _prove_crawl(self._parts)
            records = _records(self._parts, self._parts.config.kafka.topic)
            self.changes_proof = _prove_changes(self._parts, records)
            self.proof = _prove_streams(self._parts, records)
        except Aborted:
            self.failure = "stopped before the final check"
        except Exception as error:  # noqa: BLE001 - whatever it is, the processes must be stopped, and the user informed
            log_setup.get_logger("demo").exception("demo_failed")
            self.failure = f"the demo failed: {error}"
        self._parts.inbox.put(OVER)


def _records(parts: DemoParts, topic: str) -> list[TopicRecord]:
    from supervisor.demo.topic_reader import read_records  # noqa: PLC0415 - librdkafka only now: it is large

    return read_records(parts.config.kafka.bootstrap_servers, topic)


def _prove_changes(parts: DemoParts, captured: list[TopicRecord]) -> ChangesProof:
    events = _records(parts, parts.config.kafka.topic_of("changes"))
    latest = _records(parts, LATEST)
    return prove_changes(parts.simulator_control.changes(), captured, events, latest, AGES_S[-1])


def _prove_streams(parts: DemoParts, captured: list[TopicRecord]) -> Proof:
    config, gaps = parts.config, []
    for stream in stream_names():
        reader = SpoolReader.open(config.supervisor.state_dir, stream)
        if reader is not None:
            with contextlib.closing(reader):
                gaps += reader.gaps()
    return prove(parts.simulator_control.truth(), (record.key for record in captured), gaps)


def _prove_crawl(parts: DemoParts) -> CrawlProof:
    scraper, simulator_control, database = parts.config.scraper, parts.simulator_control, parts.database
    selection = CrawlSelection(scraper.subreddits, scraper.users_per_subreddit, scraper.discover, scraper.max_depth)
    world = CrawlWorld(simulator_control.crawl_held(), simulator_control.crawl_posts())
    reach = world.reach(selection)
    visited, left = database.visited()
    # an interrupted crawl is compared with what it reached
    names = reach & visited if left else reach
    return prove_crawl(world.rows(names, selection), world.rows(reach, selection), database.tables(), left)
