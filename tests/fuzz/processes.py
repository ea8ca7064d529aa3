"""The whole system, as processes, in a storm of bad answers; conditions are sampled meanwhile and checked after it."""

import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

import psutil

from core.spool import Gap, SpoolReader
from tests.fuzz.badness import Scene, rule
from tests.support.ledger import Item
from tests.support.topic import Record
from tests.support.trial import Trial
from tests.support.waiting import wait_until

STREAMS = ("submissions", "comments")
SUBREDDITS = ("Alpha", "Beta", "Gamma", "Delta")
PER_MINUTE = 6_000
MEMORY_LIMIT = 256 * 2**20
#: everything flows again within this time after the last bad answer, seconds
RECOVERY = 60.0
#: time to read the intervals that the storm left open, or to declare them lost, seconds
SETTLE = 120.0
_MEGA = 2**20
_BIG = (100_000, 3_000_000, 40 * _MEGA, 200 * _MEGA)
#: capture times have milliseconds, and reading the spool takes time
_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """The claims of one stream at one moment."""

    at: float
    stream: str
    proven_until: dict[str, float]
    gaps: tuple[Gap, ...]


@dataclass
class Storm:
    """Controls the simulator's rules during a running trial, and samples the system."""

    trial: Trial
    longest: float = 8.0
    samples: list[Sample] = field(default_factory=list)
    #: the largest resident size of each process, bytes
    memory: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    pids: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def start(self) -> None:
        """Start Reddit and the system with a quota that does not slow the storm down."""
        self.trial.prepare(
            subreddits=SUBREDDITS, quota=PER_MINUTE * 10, comments_per_second=self.trial.random.choice((30, 80, 200)),
            submissions_per_second=self.trial.random.choice((1, 4)), backlog=50, removed_share=0.02,
            clock_offset=self.trial.random.choice((0, 0, 45, -90)), reddit={"requests_per_minute": PER_MINUTE},
        )  # fmt: skip
        self.trial.system.start()
        self.trial.system.wait_up()
        wait_until(self.trial.records, 30.0, "the first records in the topic")

    def blow(self, *, answers: int, seconds: float) -> int:
        """Cause bad answers until this number of answers was given or the time is up; return the number given."""
        dice, simulator = self.trial.random, self.trial.simulator
        scene = Scene(SUBREDDITS, self.longest, _BIG, lies=False)
        end, given = time.monotonic() + seconds, 0
        while time.monotonic() < end and given < answers:
            for _ in range(dice.randint(0, 2)):
                simulator.rule(**rule(dice, scene))
            if dice.random() < 0.03:
                simulator.freeze(dice.uniform(0.5, self.longest))
            self.trial.pass_time(dice.uniform(0.2, 1.5))
            self.watch()
            given = int(simulator.stats()["requests"])
        simulator.clear_rules()
        simulator.freeze(0)
        return given

    def watch(self) -> None:
        """Record the memory of each process and the claims of each stream."""
        for name, process in self.trial.system.children().items():
            with contextlib.suppress(psutil.NoSuchProcess):
                self.pids[name].add(process.pid)
                self.memory[name] = max(self.memory[name], process.memory_info().rss)
        for stream in STREAMS:
            reader = SpoolReader.open(self.trial.system.state_dir, stream)
            if reader is None:
                continue
            with contextlib.closing(reader):
                proven = reader.cursor().get("proven_until")
                gaps = tuple(reader.gaps())
            if isinstance(proven, dict):
                self.samples.append(Sample(time.time(), stream, proven, gaps))

    def recovery(self) -> float:
        """Return the seconds until an item of each subreddit and stream that came after the storm is in the topic."""
        began, machine = time.monotonic(), time.time()
        # by the machine's clock, whatever Reddit's clock shows: the items made from now on
        known = {item.fullname for item in self.trial.simulator.truth()}
        wanted = {(stream, name) for stream in STREAMS for name in SUBREDDITS}

        def flowing() -> bool:
            self.watch()
            self.trial.simulator.generate(submissions=1, comments=1, subreddit=self.trial.random.choice(SUBREDDITS))
            seen = {(one.stream, one.value["subreddit"]) for one in self.trial.records() if one.key not in known}
            return wanted <= seen

        wait_until(flowing, RECOVERY + 60.0, f"everything to flow again (since {machine:.0f})")
        return time.monotonic() - began

    def settle(self) -> list[str]:
        """Stop new items, wait until nothing is missing, stop the system; return the violations."""
        trial = self.trial
        trial.simulator.pause()
        end = time.monotonic() + SETTLE
        while (trial.ledger().waiting or self._missing()) and time.monotonic() < end:
            trial.pass_time(1.0)
            self.watch()
        missing = self._missing()
        wrong = [f"{item.describe()} is missing outside the gaps" for item in missing[:5]]
        code = trial.system.stop()
        wrong += [f"the supervisor left with {code}"] if code else []
        return wrong + self._processes() + self._claims() + self._quota()

    def _missing(self) -> list[Item]:
        copies = {record.key for record in self.trial.records()}
        gaps = [gap for stream in STREAMS for gap in self._gaps(stream)]
        due = [item for item in self.trial.simulator.truth() if item.due and item.fullname not in copies]
        return [item for item in due if not _covered(item, item.stream, gaps)]

    def _gaps(self, stream: str) -> list[Gap]:
        reader = SpoolReader.open(self.trial.system.state_dir, stream)
        if reader is None:
            return []
        with contextlib.closing(reader):
            return reader.gaps()

    def _processes(self) -> list[str]:
        wrong = [f"{name} was restarted: pids {pids}" for name, pids in self.pids.items() if len(pids) > 1]
        return wrong + [
            f"{name} held {held / _MEGA:.0f} MiB" for name, held in self.memory.items() if held > MEMORY_LIMIT
        ]

    def _quota(self) -> list[str]:
        """Compare the requests of a minute; the quota counts by window, which is longer than most storms."""
        used = [one["used"] for one in self.trial.simulator.stats()["quota"].values()]
        return [f"{count} requests in one window" for count in used if count > 1.05 * PER_MINUTE * 10]

    def _claims(self) -> list[str]:
        """Compare the claims of each sample with what was captured by then."""
        captured = _capture_times(self.trial.records())
        by_stream: dict[str, list[Item]] = defaultdict(list)
        for item in self.trial.simulator.truth():
            if item.surfaced_at is not None and item.removed_at is None:
                by_stream[item.stream].append(item)
        wrong: list[str] = []
        for sample in self.samples:
            for item in by_stream[sample.stream]:
                until = sample.proven_until.get(item.subreddit.lower())
                if until is None or int(item.created) >= until or (item.surfaced_at or 0) > sample.at:
                    continue
                at = captured.get(item.fullname, float("inf"))
                if at > sample.at + _TOLERANCE and not _covered(item, sample.stream, sample.gaps):
                    wrong.append(f"{item.describe()} was captured {at - sample.at:.2f} s after it was claimed")
        return wrong[:5]


def _covered(item: Item, stream: str, gaps: list[Gap] | tuple[Gap, ...]) -> bool:
    """Return whether a gap covers the item, even a gap that is closed by now."""
    return any(
        gap.stream == stream
        and item.subreddit.lower() in {name.lower() for name in gap.subreddits}
        and (gap.start is None or gap.start <= item.created)
        and (gap.end is None or int(item.created) <= gap.end)
        for gap in gaps
    )


def _capture_times(records: list[Record]) -> dict[str, float]:
    times: dict[str, float] = {}
    for record in records:
        at = datetime.fromisoformat(record.value["timestamp"]).timestamp()
        times[record.key] = min(at, times.get(record.key, at))
    return times
