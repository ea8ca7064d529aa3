"""The state of an installation that follows thousands of subreddits: full spools of both streams, with a long ledger.

`python -m tests.supervisor.crowd DIR` writes it, with its configuration, into a directory.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.config import Config
from core.config.sections import RedditSection, ScraperSection, SupervisorSection
from core.spool import Batch, Gap, GapState, Record, SpoolWriter
from core.spool.stream_state import AbsenceNote, Origin, Shortage, StateChange
from streams.positions.publisher_store import Position, PublisherStore

STREAMS = ("submissions", "comments")
REASONS = ("private", "banned", "not found", "quarantined", "it answers with 500")
LISTING = "the listing ended before it met what was proven"

#: The subreddit that is proven up to the earliest time, an hour before the others.
OLDEST = "Sub_03333"


def names(count: int) -> tuple[str, ...]:
    """Return so many names."""
    return tuple(f"Sub_{number:05}" for number in range(count))


@dataclass(frozen=True)
class Crowd:
    """The size of the state; `now` is epoch seconds."""

    now: float
    subreddits: int = 5000
    absent: int = 50
    gaps: int = 300

    @property
    def names(self) -> tuple[str, ...]:
        """The configured names."""
        return names(self.subreddits)

    def config(self, directory: Path) -> Config:
        """Return the configuration."""
        return Config(
            reddit=RedditSection(subreddits=self.names),
            scraper=ScraperSection(enabled=False),
            supervisor=SupervisorSection(state_dir=directory / "state", log_dir=directory / "logs"),
        )

    def write(self, state_dir: Path) -> None:
        """Write the spools of both streams."""
        state_dir.mkdir(parents=True, exist_ok=True)
        store = PublisherStore.open(state_dir, structlog.stdlib.get_logger("crowd"))
        for stream in STREAMS:
            with SpoolWriter(state_dir, stream) as writer:
                writer.commit(Batch(cursor=self._state().entries(), counters={"captured": 40}))
                writer.commit(Batch(records=self._records(stream), gaps=self._gaps(stream)))
                store.save([Position(stream, writer.spool_id, writer.last_seq())], {"published": 40})
        store.close()

    def _state(self) -> StateChange:
        now = self.now
        moments = {name.lower(): now - 5.0 - number % 40 for number, name in enumerate(self.names)}
        if OLDEST in self.names:
            moments[OLDEST.lower()] = now - 3600.0
        absent = {
            name: AbsenceNote(REASONS[number % len(REASONS)], now - 7200 + number, 3, now + 600)
            for number, name in enumerate(self.names[-self.absent :])
        }
        return StateChange(
            begun=now - 7 * 86_400,
            origin=Origin.SETTLED,
            epoch=40,
            polled_at=now - 4,
            clock_offset=0.2,
            proven_at={name: moment - 300 for name, moment in moments.items()},
            proven_until=moments,
            absent=absent,
            shortage=Shortage(141.0, 50.0, now - 900, self.subreddits // 2, self.names[:20]),
        )

    def _records(self, stream: str) -> list[Record]:
        kind, now = {"submissions": "t3", "comments": "t1"}[stream], self.now
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now))
        value = json.dumps({"created_utc": int(now - 3), "timestamp": stamp, "text": "x" * 300}).encode()
        return [Record(f"{kind}_{number}".encode(), value, "reddit.comment.v1") for number in range(40)]

    def _gaps(self, stream: str) -> list[Gap]:
        now, all_names = self.now, self.names
        lost = Gap(stream, all_names[: self.subreddits * 98 // 100], now - 90_000, now - 80_000, "", now - 79_000, 2)
        lost.reason = "the spool was lost with captured records"
        lost.unproven, lost.state, lost.closed_at = lost.subreddits, GapState.LOST, now - 70_000
        endless = [
            Gap(stream, (name,), now - 7200, None, f"unavailable: {REASONS[number % 5]}", now - 7200, 3, (), (name,))
            for number, name in enumerate(all_names[-self.absent :])
        ]
        states = (GapState.REPAIRED, GapState.REPAIRED, GapState.OPEN, GapState.LOST, GapState.FILLED)
        others = []
        for number in range(self.gaps - self.absent - 1):
            some = all_names[number * 15 : number * 15 + 1 + number % 15] or all_names[:3]
            start, state = now - 60_000 + number * 200, states[number % 5]
            closed_at = None if state is GapState.OPEN else start + 900
            unproven = () if state is GapState.REPAIRED else some
            gap = Gap(stream, some, start, start + 100, LISTING, start + 110, 4, (), unproven, number % 7, state)
            gap.closed_at = closed_at
            others.append(gap)
        return [lost, *endless, *others]


def write_configuration(crowd: Crowd, directory: Path) -> Path:
    """Write the configuration as a file."""
    path = directory / "config.toml"
    config = crowd.config(directory)
    settings = f"state_dir = {json.dumps(str(config.supervisor.state_dir))}\n"
    settings += f"log_dir = {json.dumps(str(config.supervisor.log_dir))}\n"
    subreddits = json.dumps(crowd.names)
    path.write_text(
        f"[reddit]\nsubreddits = {subreddits}\n[scraper]\nenabled = false\n[supervisor]\n{settings}", encoding="utf-8"
    )
    return path


if __name__ == "__main__":
    target = Path(sys.argv[1])
    everything = Crowd(time.time())
    everything.write(target / "state")
    print(write_configuration(everything, target))
