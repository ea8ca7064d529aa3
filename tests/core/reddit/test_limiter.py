"""The quota shared by real processes, some of which are killed, over a file that may break."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from core.reddit.bounds import FIRST_PROBE
from core.reddit.limiter import (
    Grant,
    Limiter,
    QuotaFileError,
    Wait,
    limiter_path,
    read_counters,
    read_quota,
    read_requests,
)
from core.reddit.quota import GRANT_LIFETIME, WINDOW, Priority, RateHeaders
from tests.support.durations import allowed

PER_MINUTE = 6.0
LIMIT = 60
BIRTH = 1_700_000_000.0


class Clock:
    """Stands still until it is moved."""

    now = BIRTH

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Limiter]]:
    """Make limiters over one file, as if each were a process of its own."""
    made: list[Limiter] = []

    def make(name: str = "a", directory: Path = tmp_path) -> Limiter:
        made.append(Limiter(directory, name, PER_MINUTE, clock=clock))
        return made[-1]

    yield make
    for limiter in made:
        limiter.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start contenders; none of them outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(name: str, rounds: int, *how: str, per_minute: float = PER_MINUTE) -> "subprocess.Popen[str]":
        program = [sys.executable, "-m", "tests.core.reddit.contender"]
        command = [*program, str(tmp_path), name, str(per_minute), str(rounds), *how]
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PARENT": str(os.getpid())},
            cwd=Path(__file__).parents[3],
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def say_go(child: "subprocess.Popen[str]") -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def hear(child: "subprocess.Popen[str]", word: str) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == f"{word}\n"


def take(limiter: Limiter, priority: Priority = Priority.STREAM) -> Grant:
    answer = limiter.ask(priority)
    assert isinstance(answer, Grant), answer
    return answer


def test_real_processes_together_never_get_more_than_the_limit(
    tmp_path: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    children = [start(f"p{number}", 50) for number in range(3)]
    for child in children:
        hear(child, "ready")
    for child in children:
        say_go(child)
    granted = [int(child.communicate(timeout=30)[0]) for child in children]
    assert sum(granted) == LIMIT
    quota = read_quota(tmp_path)
    assert quota is not None
    assert (quota.used, quota.outstanding) == (LIMIT, 0)
    assert read_counters(tmp_path) == {"rate_limit_hits": 0, "requests": LIMIT}
    expected = {(f"p{nth}", "200"): count for nth, count in enumerate(granted) if count}
    assert read_requests(tmp_path) == expected


def test_a_process_killed_inside_a_transaction_holds_nobody_up(
    tmp_path: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    victim = start("victim", 1, "die")
    hear(victim, "ready")
    limiter = Limiter(tmp_path, "survivor", PER_MINUTE)
    say_go(victim)
    hear(victim, "inside")
    answers: list[Grant | Wait] = []
    asker = threading.Thread(target=lambda: answers.append(limiter.ask(Priority.STREAM)), daemon=True)
    asker.start()
    asker.join(0.2)
    assert asker.is_alive(), "the lock is held: this one waits"
    say_go(victim)
    assert victim.wait(10) == -signal.SIGKILL
    began = time.monotonic()
    asker.join(10)
    assert isinstance(answers[0], Grant)
    assert time.monotonic() - began < allowed(2.0)
    quota = limiter.state()
    assert (quota.used, quota.outstanding) == (0.0, 2), "what the victim had in hand is undone, its grant stands"
    limiter.close()


def test_the_grant_of_a_killed_process_counts_as_spent_after_its_lifetime(
    make: Callable[..., Limiter], clock: Clock
) -> None:
    victim, other = make("victim"), make("other")
    for _ in range(10):
        take(victim)
    victim.close()
    assert (other.state().used, other.state().outstanding) == (0, 10)
    clock.now += GRANT_LIFETIME + 1.0
    assert (other.state().used, other.state().outstanding) == (10, 0)
    assert (other.state().used, other.state().outstanding) == (10, 0), "once"


def test_an_answer_that_came_after_all_is_counted_once(make: Callable[..., Limiter], clock: Clock) -> None:
    limiter = make()
    grant = take(limiter)
    clock.now += GRANT_LIFETIME + 1.0
    assert limiter.state().used == 1
    limiter.answered(grant, "200", None)
    assert (limiter.state().used, limiter.state().outstanding) == (1, 0)


def test_a_refusal_holds_back_every_process_and_survives_restarts(make: Callable[..., Limiter], clock: Clock) -> None:
    first = make("first")
    assert first.refused(take(first), 42.0) == pytest.approx(42.0)
    first.close()
    second = make("second")
    for priority in Priority:
        answer = second.ask(priority)
        assert isinstance(answer, Wait)
        assert answer.seconds == pytest.approx(42.0)
    clock.now += 43.0
    take(second)


def test_headers_seen_by_one_process_bind_all(make: Callable[..., Limiter], clock: Clock) -> None:
    one, two = make("one"), make("two")
    one.answered(take(one), "200", RateHeaders(used=59, remaining=1, reset=100))
    take(two)
    answer = one.ask(Priority.STREAM)
    assert isinstance(answer, Wait)
    assert answer.seconds == pytest.approx(FIRST_PROBE), "then one request tests whether nothing remains"
    clock.now += 101.0
    take(one)
    take(two)


def test_an_error_of_the_server_does_not_lead_the_ladder_back(make: Callable[..., Limiter], clock: Clock) -> None:
    limiter = make()
    assert limiter.refused(take(limiter), None) == 60.0
    clock.now += 61.0
    limiter.answered(take(limiter), "503", None)
    clock.now += 5.0
    assert limiter.refused(take(limiter), None) == 120.0
    clock.now += 121.0
    limiter.answered(take(limiter), "200", None)
    clock.now += 1.0
    assert limiter.refused(take(limiter), None) == 60.0


def test_a_request_without_an_answer_counts_as_sent(make: Callable[..., Limiter], tmp_path: Path) -> None:
    limiter = make()
    limiter.failed(take(limiter), "timeout")
    assert limiter.state().used == 1
    assert read_requests(tmp_path) == {("a", "timeout"): 1}


@pytest.mark.parametrize("start_at", [0, 24, 4096, 2 * 4096])
def test_a_broken_file_is_replaced_at_the_start(make: Callable[..., Limiter], tmp_path: Path, start_at: int) -> None:
    """Wherever it is broken: in its header, its schema, or a page that only a later question would touch."""
    first = make()
    first.answered(take(first), "200", None)
    first.close()
    with limiter_path(tmp_path).open("r+b") as file:
        file.seek(start_at)
        file.write(b"\xa5" * 4096)
    second = make()
    take(second)
    assert second.state().outstanding == 1


def test_a_file_of_another_version_is_replaced(make: Callable[..., Limiter], tmp_path: Path) -> None:
    with sqlite3.connect(limiter_path(tmp_path)) as connection:
        connection.execute("CREATE TABLE quota (id INTEGER PRIMARY KEY, forgotten REAL)")
    connection.close()
    limiter = make()
    take(limiter)
    assert limiter.state().outstanding == 1


def test_a_file_that_breaks_while_in_use_is_replaced_at_the_next_question(
    make: Callable[..., Limiter], tmp_path: Path
) -> None:
    limiter = make()
    take(limiter)
    make("other").close()  # so that the pages stand in the file and not in the WAL alone
    with sqlite3.connect(limiter_path(tmp_path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    subprocess.run(
        [sys.executable, "-c", f"open({str(limiter_path(tmp_path))!r}, 'r+b').write(b'x' * 40000)"], check=True
    )
    with contextlib.suppress(QuotaFileError):  # what SQLite still has in memory may carry it over this one
        limiter.state()
    take(limiter)
    assert limiter.state().outstanding >= 1


def test_all_processes_follow_to_the_new_file(make: Callable[..., Limiter], tmp_path: Path) -> None:
    """Two quotas side by side would be twice the quota."""
    one, two = make("one"), make("two")
    take(one)
    limiter_path(tmp_path).unlink()
    make("three")
    take(one)
    take(two)
    assert one.state().outstanding == two.state().outstanding == 2


def test_a_locked_file_is_an_error_that_says_what_to_do_and_passes(
    make: Callable[..., Limiter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.sqlite.BUSY_TIMEOUT", 0.05)
    limiter = make()
    intruder = sqlite3.connect(limiter_path(tmp_path), isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(QuotaFileError, match=r"quota\.db cannot be used .*end the process that locks it"):
        limiter.ask(Priority.STREAM)
    intruder.execute("ROLLBACK")
    intruder.close()
    take(limiter)


def test_who_only_looks_makes_no_file(tmp_path: Path) -> None:
    assert read_quota(tmp_path) is None
    assert read_requests(tmp_path) == {}
    assert not list(tmp_path.iterdir())


def test_the_window_rolls_for_all(make: Callable[..., Limiter], clock: Clock) -> None:
    limiter = make()
    for _ in range(LIMIT):
        limiter.answered(take(limiter), "200", None)
    assert isinstance(limiter.ask(Priority.STREAM), Wait)
    clock.now += WINDOW
    take(limiter)


def spend(limiter: Limiter, requests: int) -> None:
    for _ in range(requests):
        grant = limiter.ask(Priority.STREAM)
        assert isinstance(grant, Grant)
        limiter.answered(grant, "200", None)


def remove_file(directory: Path) -> None:
    for path in directory.glob("quota.db*"):
        path.unlink()


def remove_wal(directory: Path) -> None:
    (directory / "quota.db-wal").unlink()


def remove_directory(directory: Path) -> None:
    shutil.rmtree(directory)


def replace_file(directory: Path) -> None:
    path = limiter_path(directory)
    path.rename(path.with_name("elsewhere"))
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE strange (x)")


def restore_by_rename(directory: Path) -> None:
    copy = directory / "copy"
    subprocess.run(["cp", limiter_path(directory), copy], check=True)
    copy.rename(limiter_path(directory))


@pytest.mark.parametrize("harm", [remove_file, remove_wal, remove_directory, replace_file, restore_by_rename])
def test_a_file_that_is_lost_in_use_lifts_no_limit(
    make: Callable[..., Limiter], tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """Guards: writing into an orphan, each process into one of its own; and a count that begins anew."""
    directory = tmp_path / "state"
    one, two = make("one", directory), make("two", directory)
    spend(one, 10)
    spend(two, 1)
    one.refused(cast(Grant, one.ask(Priority.STREAM)), 30.0)
    two.state()
    harm(directory)
    waited = two.ask(Priority.STREAM)
    assert isinstance(waited, Wait)
    assert waited.seconds == pytest.approx(30.0)
    quota = read_quota(directory)
    assert quota is not None
    assert quota.used + quota.outstanding >= 11
    assert isinstance(one.ask(Priority.STREAM), Wait), "both use the file that is in its place"
    if harm is not replace_file:
        assert read_counters(directory) == {"rate_limit_hits": 1, "requests": 12}


def test_an_older_copy_written_over_the_file_lifts_no_limit(make: Callable[..., Limiter], tmp_path: Path) -> None:
    limiter = make()
    spend(limiter, 3)
    files = sorted(tmp_path.glob("quota.db*"))
    for path in files:
        subprocess.run(["cp", path, tmp_path / f"old-{path.name}"], check=True)
    spend(limiter, 20)
    limiter.close()
    for path in files:
        subprocess.run(["cp", tmp_path / f"old-{path.name}", path], check=True)
    assert limiter.state().used >= 23


def test_a_directory_that_cannot_be_made_is_an_error_that_passes(make: Callable[..., Limiter], tmp_path: Path) -> None:
    directory = tmp_path / "state"
    limiter = make("a", directory)
    spend(limiter, 5)
    directory.rename(tmp_path / "renamed")
    directory.write_text("a file in its place")
    with pytest.raises(QuotaFileError):
        limiter.ask(Priority.STREAM)
    directory.unlink()
    spend(limiter, 1)
    assert limiter.state().used == 6
