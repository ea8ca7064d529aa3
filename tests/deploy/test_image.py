"""The Dockerfile: its steps carried out one by one, and what comes out of them run as a container would be run."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import load_config
from tests.deploy import dockerfile
from tests.deploy.image import PATIENCE, UNSHARE, Image
from tests.support.system import ROOT
from tests.support.waiting import wait_until

PATH = ROOT / "deploy" / "Dockerfile"
CREDENTIALS = {"REDDIT_CLIENT_ID": "id", "REDDIT_CLIENT_SECRET": "secret", "REDDIT_USER_AGENT": "test (by /u/nobody)"}


@pytest.fixture
def stages() -> list[dockerfile.Stage]:
    return dockerfile.read(PATH)


@pytest.fixture
def image(stages: list[dockerfile.Stage], tmp_path: Path) -> Iterator[Image]:
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no namespaces here: {tried.stderr.strip()}")
    image = Image(tmp_path, stages)
    yield image
    image.destroy()


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint has no wheel for this machine")
    answer = subprocess.run([hadolint, str(PATH)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


def test_what_is_copied_is_there_and_is_let_through(stages: list[dockerfile.Stage]) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored  # nothing but what is named: no .env, no state, no history
    through = {line[1:] for line in ignored if line.startswith("!")}
    copied = {value.split()[0] for value in stages[0].values("COPY")}
    assert copied == through
    for source in copied:
        assert (ROOT / source).exists()


def test_no_tool_and_no_cache_is_left_in_the_image(stages: list[dockerfile.Stage]) -> None:
    build, final = stages
    for option in ("--require-hashes", "--only-binary=:all:", "--no-cache-dir"):
        assert option in build.values("RUN")[0]
    assert not any("apt" in command or "pip" in command for command in final.values("RUN"))
    assert final.values("COPY") == ["--from=build /opt/gapless /opt/gapless"]


def test_nothing_stands_between_process_1_and_the_supervisor(stages: list[dockerfile.Stage]) -> None:
    final = stages[-1]
    assert final.array("ENTRYPOINT") == ["python", "-m", "supervisor"]
    assert final.array("CMD") == ["run", "/etc/gapless/config.toml"]
    assert final.values("STOPSIGNAL") == ["SIGTERM"]
    uid, gid = final.values("USER")[0].split(":")
    assert int(uid) > 1000
    assert int(gid) > 1000


def test_the_container_starts_answers_and_stops_in_order(image: Image) -> None:
    """Read-only root, no capability, not root, nothing reachable: healthy all the same, and 0 at the end."""
    image.start(ROOT / "deploy" / "config.toml", CREDENTIALS)
    health = image.final.array("HEALTHCHECK")

    def healthy() -> bool:
        assert image.init  # it has not ended
        return subprocess.run(image.execute(*health), capture_output=True, check=False).returncode == 0

    wait_until(healthy, PATIENCE, "the health check to pass")
    status = subprocess.run(
        image.execute("python", "-m", "supervisor", "status", "/etc/gapless/config.toml", "--json"),
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(status.stdout)
    assert document["supervisor"]["pid"] == 1
    names = {process["name"] for process in document["processes"]}
    assert names == {"publisher", "submissions", "comments", "scraper-direct", "monitor"}
    assert set(image.init.uids()) == {10001}
    timeout = load_config(ROOT / "deploy" / "config.toml", credentials=False).supervisor.shutdown_timeout
    began = time.monotonic()
    assert image.stop(timeout + 5.0) == 0, image.output.read_text()[-3000:]
    assert time.monotonic() - began < timeout


def test_without_a_configuration_it_ends_with_2_and_says_what_to_do(image: Image, tmp_path: Path) -> None:
    wrong = tmp_path / "config.toml"
    wrong.write_text("[redit]\n")
    image.start(wrong, {})
    code = image.wait(PATIENCE)
    assert code == 2, image.output.read_text()
    assert "[reddit]" in image.output.read_text()
