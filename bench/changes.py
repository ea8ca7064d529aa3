"""The duties of the process `changes`: ten million items on disk, the time to pick due ones, and memory."""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.figure import Figure, at_least, at_most, percentile
from core.process.memory_tuning import tune_gc
from core.spool.followed_positions import changes_path
from core.storage.sqlite import connect_readonly
from streams.changes.blocks import settle
from streams.changes.duties import Applied, Duties, NewDuty
from streams.changes.duty_block import Duty
from streams.changes.look import Known
from streams.changes.schedule import Schedule

ITEMS = 10_000_000
_RATE = 40  # items a second
_PORTION = 2400  # a minute of them
_PICKS = 400
_STREAMS = ("submissions", "comments")
_SCHEDULE = Schedule.of((3600.0, 86400.0, 129600.0, 172800.0, 604800.0))
_BEGAN = 1_700_000_000


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as directory:
        command = [sys.executable, "-m", "bench.changes", directory, str(ITEMS)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        filled_s, pick_ms, slow_pick_ms, look_ms, resident_mib = map(float, answer[-5:])
        size = sum(path.stat().st_size for path in Path(directory).iterdir())
        content = _content_bytes(Path(directory))
    return [
        at_most("bytes of state an item, packed", content / ITEMS, 40, "B", digits=1),
        at_most(f"disk of {ITEMS:,} items", size / 1e6, 450, "MB"),
        at_most("picking 100 due items, median", pick_ms, 2, "ms", digits=2),
        Figure("picking 100 due items, 99 of 100", slow_pick_ms, "ms", digits=2),
        at_most("memory of the process with them, RSS", resident_mib, 64, "MiB", digits=1),
        Figure("writing the new state of 100 items", look_ms, "ms", digits=2),
        at_least("items followed, with fsync", ITEMS / filled_s, 1000, "/s"),
    ]


def _content_bytes(directory: Path) -> int:
    with closing(connect_readonly(changes_path(directory))) as connection:
        return int(connection.execute("SELECT sum(length(blob)) FROM blocks").fetchone()[0])


def _minutes(count: int) -> Iterator[tuple[str, list[NewDuty]]]:
    """Yield the items of each minute, one submission to nine comments, as Reddit numbers them."""
    draw = random.Random(1)
    number = int("1a2b3c4d", 36)
    for start in range(0, count, _PORTION):
        parts: dict[str, list[NewDuty]] = {stream: [] for stream in _STREAMS}
        for place in range(min(_PORTION, count - start)):
            number += draw.randrange(1, 40)
            created = _BEGAN + (start + place) // _RATE
            edited = created if draw.random() < 0.03 else 0
            known = Known(draw.getrandbits(64), edited, draw.randrange(-5, 300))
            stream = _STREAMS[draw.random() < 0.9]
            duty = Duty(_base36(number), created, 0, known)
            parts[stream].append(NewDuty(stream, f"sub{draw.randrange(5000)}", created + 3600.0, duty))
        yield from parts.items()


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def _child(directory: Path, count: int) -> None:
    """Fill the file, look at due items, and print the figures."""
    import streams.changes.changes_process  # noqa: F401, PLC0415 (what the process itself has loaded)

    tune_gc()
    duties, _ = Duties.open(directory, known=None, positions=dict, bucket_s=60.0, clock=lambda: _BEGAN)
    began = time.monotonic()
    for seq, (stream, new) in enumerate(_minutes(count)):
        duties.add(new, stream=stream, spool_id=f"spool-{stream}", seq=seq)
    filled_s = time.monotonic() - began
    now = _BEGAN + count / _RATE + 3600.0
    picks, looks = [], []
    for number in range(1, _PICKS + 1):
        began = time.monotonic()
        blocks = duties.pick(_STREAMS, now, 100, in_order=False)
        picks.append(1000 * (time.monotonic() - began))
        looked = {f"{one.stream}/{duty.id}": duty.known for one in blocks for duty in one.duties}
        began = time.monotonic()
        settled = settle(blocks, looked, now=now, schedule=_SCHEDULE, next_id=duties.next_id)
        duties.apply(Applied(duties.store_id, number, settled.changes))
        looks.append(1000 * (time.monotonic() - began))
    duties.close()
    resident = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(filled_s, percentile(picks, 0.5), percentile(picks, 0.99), percentile(looks, 0.5))
    print(int(resident.split()[1]) / 1024)


if __name__ == "__main__":
    _child(Path(sys.argv[1]), int(sys.argv[2]))
