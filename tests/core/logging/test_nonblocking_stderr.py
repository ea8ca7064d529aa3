"""Standard error whose writer never waits."""

import os
import threading
import time

import pytest

from core.logging.nonblocking_stderr import NonBlockingStderr
from tests.support.durations import allowed
from tests.support.waiting import wait_until


def test_what_is_written_comes_out_in_order_also_at_the_end() -> None:
    reader, writer = os.pipe()
    stderr_writer = NonBlockingStderr(writer)
    os.close(writer)
    for number in range(1000):
        stderr_writer.write(f"{number}\n")
    stderr_writer.close()
    assert os.read(reader, 65536).decode().split() == [str(number) for number in range(1000)]
    assert os.read(reader, 1) == b"", "closed"
    os.close(reader)


def test_nobody_reads_nobody_waits_and_what_is_dropped_is_told_when_somebody_reads_again() -> None:
    reader, writer = os.pipe()
    told: list[int] = []
    stderr_writer = NonBlockingStderr(writer, told.append, limit=200_000)
    os.close(writer)
    line = "x" * 999 + "\n"
    started = time.monotonic()
    for _ in range(1000):
        stderr_writer.write(line)
    assert time.monotonic() - started < allowed(1.0)
    got = 0
    while got < 200_000:
        got += len(os.read(reader, 65536))
    wait_until(lambda: told, what="the loss to be told")
    assert (told, got) == ([800], 200_000)
    stderr_writer.close()
    os.close(reader)


def test_its_end_does_not_wait_for_a_reader_who_sleeps() -> None:
    reader, writer = os.pipe()
    stderr_writer = NonBlockingStderr(writer)
    os.close(writer)
    stderr_writer.write("x" * 500_000)
    started = time.monotonic()
    stderr_writer.close()
    assert time.monotonic() - started < allowed(2.0)
    os.close(reader)  # so the thread ends
    wait_until(lambda: not any(one.name == "stderr-writer" for one in threading.enumerate()), what="the thread to end")


def test_who_writes_hears_that_the_reader_has_gone() -> None:
    reader, writer = os.pipe()
    stderr_writer = NonBlockingStderr(writer)
    os.close(writer)
    os.close(reader)

    def heard() -> bool:
        try:
            stderr_writer.write("x")
        except BrokenPipeError:
            return True
        return False

    wait_until(heard, what="the error")
    stderr_writer.close()


def test_a_descriptor_that_others_have_made_impatient_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    stderr_writer = NonBlockingStderr(writer)
    os.close(writer)
    stderr_writer.write("x" * 300_000)
    got = b""
    while len(got) < 300_000:
        got += os.read(reader, 65536)
    stderr_writer.close()
    assert got == b"x" * 300_000
    os.close(reader)


@pytest.mark.parametrize("text", ["\ud800", "ü"])
def test_any_text_can_be_written(text: str) -> None:
    reader, writer = os.pipe()
    stderr_writer = NonBlockingStderr(writer)
    os.close(writer)
    stderr_writer.write(text)
    stderr_writer.close()
    assert os.read(reader, 100) == text.encode("utf-8", "backslashreplace")
    os.close(reader)
