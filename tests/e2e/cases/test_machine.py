"""Cases of the machine and what is on it: wrong clocks, other programs' files, narrow limits."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.cases.support import INPUTS, arrives, messages
from tests.e2e.stages import EVERYWHERE, on
from tests.support.durations import allowed
from tests.support.soaking import SOAK
from tests.support.system import ROOT
from tests.support.trial import Trial
from tests.support.waiting import wait_until

WRONG_CLOCK = INPUTS / "wrong_clock"


@on(EVERYWHERE)
@pytest.mark.parametrize(
    ("ours", "reddits"), [(-90, 0), *(pytest.param(*clocks, marks=SOAK) for clocks in ((3600, 0), (0, -7200)))]
)
def test_a_wrong_clock_causes_no_gap_and_no_requests(trial: Trial, ours: int, reddits: int) -> None:
    """microsoft/WSL#5324, docker/for-win#10347: whichever clock is wrong, a complete walk proves what it met."""
    environment = {"PYTHONPATH": f"{WRONG_CLOCK}{os.pathsep}{ROOT}", "CLOCK_OFFSET": str(ours)} if ours else {}
    trial.prepare(subreddits=("Alpha", "Beta"), comments_per_second=40, backlog=300, clock_offset=reddits,
                  environment=environment)  # fmt: skip
    trial.system.start()
    trial.system.wait_up()
    wait_until(trial.records, 30.0, "the first records")
    trial.pass_time(2)
    began, before = time.monotonic(), trial.simulator.stats()["listing_requests"]
    trial.pass_time(12)
    asked = (trial.simulator.stats()["listing_requests"] - before) / (time.monotonic() - began) * 60
    trial.notes["requests a minute"] = round(asked)
    assert asked <= 300, "a wrong clock must not cost requests: with the right one it is 240 so soon after a start"
    trial.finish(at_least=1000)
    assert trial.system.gaps() == [], trial.system.gaps()
    for stream in ("submissions", "comments"):
        lines = trial.system.log(stream)
        logged = [line for line in messages(trial, stream, "warning") if "clock" in line["event"]]
        assert len(logged) == 1, [line["event"] for line in messages(trial, stream, "warning", "error")]
        assert not [line for line in lines if line["event"] == "gap_recorded"]


@on(EVERYWHERE)
def test_files_of_other_programs_take_no_part(trial: Trial, tmp_path: Path) -> None:
    """psf/requests#3929 (netrc), aws/aws-cli#6696 (a malformed praw.ini): no password is sent or logged."""
    home = tmp_path / "home"
    (home / ".config").mkdir(parents=True)
    netrc = home / ".netrc"
    netrc.write_text((INPUTS / "netrc.txt").read_text())
    netrc.chmod(0o600)
    broken = (INPUTS / "praw-without-section.ini").read_text()
    (home / ".config" / "praw.ini").write_text(broken)
    environment = {"HOME": str(home), "praw_check_for_updates": "true", "praw_ratelimit_seconds": "soon"}
    trial.prepare(subreddits=("Alpha", "Beta"), comments_per_second=30, environment=environment)
    (trial.system.directory / "praw.ini").write_text(broken)
    trial.simulator.rule(headers={"Set-Cookie": ["session=stolen; Path=/", "a=b"]})
    trial.system.start()
    trial.system.wait_up()
    wait_until(lambda: arrives(trial, ["Alpha", "Beta"], set()), what="items of both")
    check = trial.system.attempt("check", "--connect")
    assert check.returncode == 0, check.stdout
    trial.finish(at_least=30)
    assert trial.simulator.requests("access_token") <= 4
    logs = "".join(path.read_text() for path in trial.system.log_dir.glob("*.log"))
    said = logs + trial.system.server.output.read_text() + check.stdout + check.stderr
    assert "hunter2" not in said
    assert "S3cretOfOldBot" not in said
    assert "anonymous" not in said


@on(EVERYWHERE)
def test_quotes_around_a_value_of_the_environment_are_named(trial: Trial) -> None:
    """jef/streetmerchant#1059: `docker run --env-file` keeps them."""
    lines = (INPUTS / "docker-quoted.env").read_text().splitlines()
    quoted = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    trial.prepare(environment=quoted)
    for command in ("check", "run"):
        answer = trial.system.attempt(command)
        said = answer.stdout + answer.stderr
        assert answer.returncode == 2, said
        assert "quote" in said
        for name in quoted:
            assert name in said
        assert "rigsecret" not in said
        assert "Traceback" not in said


@on(EVERYWHERE)
@pytest.mark.parametrize("files", [24, 40])
def test_too_few_file_descriptors_are_named_before_anything_starts(trial: Trial, files: int) -> None:
    """Common in containers: without a check, children die one after the other and nothing says why."""
    trial.prepare()
    began = time.monotonic()
    answer = trial.system.attempt("run", before=("prlimit", f"--nofile={files}:{files}"))
    said = answer.stdout + answer.stderr
    assert answer.returncode == 2, said
    assert time.monotonic() - began < allowed(10)
    assert str(files) in said
    assert "file" in said
    assert "Traceback" not in said
    assert trial.simulator.stats()["requests"] == 0


@on(EVERYWHERE)
def test_a_stream_that_is_switched_off_concerns_the_other(trial: Trial) -> None:
    """`streams.comments = false` and SIGHUP: the other stream paces itself for one stream from then on."""
    trial.start(subreddits=("Alpha", "Beta"))
    config = trial.system.config
    config.write_text(config.read_text().replace("[streams]", "[streams]\ncomments = false"))
    trial.system.server.signal(signal.SIGHUP)

    def reloaded() -> str:
        return "".join(str(line) for line in trial.system.log("supervisor") if line["event"] == "reloaded")

    wait_until(reloaded, what="the reload")
    wait_until(lambda: "comments" not in trial.system.children(), what="the end of the stream")
    assert "submissions" in reloaded(), "the other stream reads that key too"
    known = {record.key for record in trial.records()}
    trial.simulator.generate(submissions=3, subreddit="Beta")
    wait_until(lambda: len({record.key for record in trial.records()} - known) >= 3, what="its items")
    assert trial.system.stop() == 0
