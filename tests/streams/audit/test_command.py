"""The audit on request: a sample of the wanted size, within its time, without the processes of the streams."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.reddit.request_errors import CredentialsRejected, QuotaShort, Unreachable
from streams.audit.command import run_audit
from streams.audit.found_files import Finding, waiting_findings, write_finding
from streams.audit.runner import Ages
from tests.streams.audit.stage import BIRTH, Stage, settings

AGES = Ages(item=60.0, post=600.0, confirm=0.0)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stopped installation."""
    hide = ({"kind": "comments", "share": 0.1}, {"kind": "submissions", "share": 0.1})
    stage = Stage(tmp_path_factory.mktemp("state"), settings(hide=hide))
    stage.run(2400.0)
    yield stage
    for stream in stage.streams.values():
        stream.kill()


def audit(stage: Stage, items: int, seconds: float = 60.0, **more: Any) -> dict[str, Any]:
    log: Any = stage.notes
    return dict(run_audit(stage.config, items, seconds, log=log, ages=AGES, **{"get": stage.get, **more}))


def test_it_ends_with_enough_items_of_each_stream(stage: Stage) -> None:
    told: list[tuple[int, int]] = []
    results = audit(stage, 40, progress=lambda sampled, items: told.append((sampled, items)))
    assert results.keys() == {"submissions", "comments"}
    for name, result in results.items():
        assert result.sampled >= 20, name
        assert (result.ended, result.waiting) == ("", 0)
        assert len(stage.observed(name)) >= 20
        assert result.requests > 0
    assert told[-1][0] >= 40
    assert told[0][1] == 40


def test_what_it_finds_waits_for_the_process_of_the_stream(stage: Stage) -> None:
    audit(stage, 60)
    stream = stage.streams["comments"]
    files = waiting_findings(stage.directory, "comments")
    assert files
    copies = {path: path.read_bytes() for path in files}
    before = len(stream.rows())
    for _ in files:
        stream.finds.step()
    assert waiting_findings(stage.directory, "comments") == []
    captured, entries = len(stream.rows()), stream.gaps()
    assert captured > before
    for path, content in copies.items():  # killed between the capture and the deletion of the file
        path.write_bytes(content)
        stream.finds.step()
    assert waiting_findings(stage.directory, "comments") == []
    assert (len(stream.rows()), stream.gaps()) == (captured, entries)


def test_a_fault_of_the_audit_does_not_end_the_capture(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stage.streams["comments"]
    item = {"name": "t1_new", "subreddit": "Alpha", "created_utc": BIRTH + 60.0, "body": "text"}
    write_finding(stage.directory, "comments", Finding(BIRTH, [item]))
    (path,) = waiting_findings(stage.directory, "comments")
    with monkeypatch.context() as patch:
        patch.setattr(stream.coverage, "moment", lambda _names: 1 / 0)
        stream.finds.step()
    assert stage.notes.events("audit_capture_failed")
    assert path.with_suffix(".bad").exists()


def test_a_file_that_cannot_be_read_is_kept_aside(stage: Stage) -> None:
    stream = stage.streams["submissions"]
    while waiting_findings(stage.directory, "submissions"):
        stream.finds.step()
    directory = stage.directory / "audit-finds" / "submissions"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "1.json").write_text("no json")
    stream.finds.step()
    assert [path.name for path in directory.iterdir()] == ["1.bad"]
    assert stage.notes.events("audit_file_unreadable")


def test_it_ends_when_the_time_is_over(stage: Stage) -> None:
    def short(_path: str, _params: dict[str, str | int]) -> object:
        raise QuotaShort("the quota is reserved for the streams")

    results = audit(stage, 40, 0.2, get=short)
    why = "the time is over; the last request failed: the quota is reserved for the streams"
    assert {result.ended for result in results.values()} == {why}


def test_it_ends_when_requests_keep_failing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.audit.command._PAUSE_S", 0.0)

    def fails(_path: str, _params: dict[str, str | int]) -> object:
        raise Unreachable("connection refused")

    results = audit(stage, 40, get=fails)
    assert {result.ended for result in results.values()} == {"requests fail: connection refused"}


def test_a_stop_ends_it(stage: Stage) -> None:
    stop = threading.Event()
    results = audit(stage, 10_000, stop=stop, progress=lambda _sampled, _items: stop.set())
    assert all(result.ended == "it was stopped" for result in results.values())


def test_rejected_credentials_reach_the_caller(stage: Stage) -> None:
    def rejected(_path: str, _params: dict[str, str | int]) -> object:
        raise CredentialsRejected("wrong client id")

    with pytest.raises(CredentialsRejected):
        audit(stage, 40, get=rejected)


def test_before_the_first_run_it_says_so_and_creates_nothing(stage: Stage, tmp_path: Path) -> None:
    state_dir = tmp_path / "mistyped"
    config = replace(stage.config, supervisor=replace(stage.config.supervisor, state_dir=state_dir))
    log: Any = stage.notes
    results = run_audit(config, 40, 60.0, log=log, ages=AGES, get=stage.get)
    assert results.keys() == {"submissions", "comments"}
    assert all("nothing has been captured here yet" in result.ended for result in results.values())
    assert not state_dir.exists()


def test_what_is_too_young_is_not_sampled(stage: Stage) -> None:
    log: Any = stage.notes
    results = run_audit(stage.config, 40, 60.0, log=log, ages=Ages(item=1e9, post=1e9), get=stage.get)
    assert all("no source has anything to sample now" in result.ended for result in results.values())
