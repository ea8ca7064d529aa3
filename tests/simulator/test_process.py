"""The simulator as a process: it says when it is ready, and ends when it should."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from tests.simulator.client import QUIET, ROOT, Running
from tests.support.soaking import SOAK
from tests.support.waiting import wait_until


def test_one_line_says_where_it_listens() -> None:
    with Running(*QUIET) as running:
        assert running.ready == {"event": "listening", "url": running.url, "pid": running.process.pid, "seed": 7}
        assert psutil.Process(running.process.pid).cmdline()[0] == "simulator"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_even_while_answers_hang(signum: signal.Signals) -> None:
    with Running(*QUIET, "--faults", '{"hang": 1, "hang_seconds": 60}') as running:
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{running.url}/r/Bitcoin/new", timeout=0.1)
        running.process.send_signal(signum)
        assert running.process.wait(timeout=5) == 0


def test_it_ends_when_the_parent_named_has_died() -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with Running(*QUIET, "--parent", str(parent.pid)) as running:
        assert running.process.poll() is None
        parent.kill()
        parent.wait()
        wait_until(lambda: running.process.poll() is not None, what="the simulator to end")
        assert running.process.returncode == 0


def test_it_goes_on_while_its_own_parent_lives() -> None:
    with Running(*QUIET, "--parent", str(os.getpid())) as running:
        running.sign_in()
        assert running.get("/r/Bitcoin/new").status_code == 200


def test_the_same_seed_makes_the_same_items() -> None:
    def names() -> list[str]:
        with Running(*QUIET, "--backlog", "20") as running:
            return list(running.truth())

    assert names() == names()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--faults", '{"status_53": 1}'], "did you mean status_503"),
        (["--faults", "none"], "not JSON"),
        (["--late-share", "2"], "share from 0 to 1"),
        pytest.param(["--cap", "0"], "1 or more", marks=SOAK),
        pytest.param(["--late-seconds", "5", "1"], "--late-seconds", marks=SOAK),
        pytest.param(["--window", "0"], "above 0", marks=SOAK),
        (["--texts", "/nowhere/at/all"], "no such file"),
        pytest.param(["--latencies", "about"], "about=0.5", marks=SOAK),
        (["--latencies", "aboot=1"], "known are about"),
        (["--crawl-posts", "2000"], "1296 or less"),
        (["--tls-key", "key.pem"], "--tls-certificate"),
    ],
)
def test_a_bad_command_line_is_explained(arguments: list[str], hint: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == 2
    assert hint in ended.stderr


def test_a_port_in_use_is_explained() -> None:
    with Running(*QUIET) as running:
        port = running.url.rpartition(":")[2]
        ended = subprocess.run(
            [sys.executable, "-m", "simulator", "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert ended.returncode == 1
    assert "cannot listen on" in ended.stderr


def test_real_texts_are_served_when_given(tmp_path: Path) -> None:
    file = tmp_path / "t1.jsonl"
    file.write_text(json.dumps({"name": "t1_x", "body": "from a file"}))
    with Running(*QUIET, "--texts", str(file), "--backlog", "3") as running:
        running.sign_in()
        children = running.get("/r/all/comments").json()["data"]["children"]
        assert [child["data"]["body"] for child in children] == ["from a file"] * 3
