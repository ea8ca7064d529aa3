"""`status`: the JSON document and the text, of a running, stopped, killed or hanging supervisor."""

import io
import json
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.control_client import ask
from core.errors import ExitCode
from core.process import program
from core.spool import SpoolWriter
from core.status.changes_status import ChangesStatus
from core.status.stream_stats import Flow, QuotaFlow, StreamFlow
from core.status.system_status import Status
from supervisor.cli.status import RateMeter, show_status
from supervisor.display.formatting import duration
from supervisor.display.status_panel import Panel, Rates
from tests.supervisor.dummies import OBEDIENT
from tests.supervisor.household import ask_status, configuration, living, status_text
from tests.support.waiting import wait_until

NOON = 1_800_000_000.0
LOG = structlog.stdlib.get_logger("test")


def kinds(value: Any) -> Any:
    """The shape of a document: names and types, numbers being numbers."""
    if isinstance(value, dict):
        return {name: kinds(inner) for name, inner in value.items()}
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_running_it_has_the_shape_of_the_contract(tmp_path: Path) -> None:
    with living(tmp_path) as household:
        household.wait_until_all_run()
        code, document = ask_status(household.config)
        assert code is ExitCode.OK
        assert document["supervisor"]["pid"] == household.server.pid
        assert document["supervisor"]["state"] == "RUNNING"
        assert [process["name"] for process in document["processes"]] == ["publisher", "submissions", "comments"]
        comments = document["processes"][2]
        stream = dict.fromkeys(("captured", "published", "spooled", "gaps", "completeness"), "number")
        stream |= {"lag_s": "NoneType", "proven_until": "NoneType"}
        assert kinds(comments) == {
            "name": "str",
            "pid": "number",
            "state": "str",
            "restarts": "number",
            "uptime_s": "number",
            "last_exit": "NoneType",
            "rss_bytes": "number",
            "heartbeat_age_s": "number",
        }
        assert kinds({name: part for name, part in document.items() if name not in {"supervisor", "processes"}}) == {
            "streams": {"submissions": stream, "comments": stream},
            "kafka": {"published": "number", "errors": "number"},
            "scraper": dict.fromkeys(("subreddits", "users", "posts", "frontier"), "number"),
            "quota": {"used": "number", "remaining": "number", "reset_s": "number"},
            "changes": "NoneType",
            "cluster": "NoneType",
        }
        assert comments["rss_bytes"] > 5_000_000
        assert comments["heartbeat_age_s"] < 3.0


def test_stopped_or_killed_it_says_so_and_since_when_and_what_is_parked_stays_visible(tmp_path: Path) -> None:
    children = (*OBEDIENT[:2], "comments=SOURCE:hopeless")
    with living(tmp_path, *children) as household:
        household.wait_for("comments", "FATAL")
        household.wait_for("submissions", "RUNNING")
        household.server.kill()
        code, document = ask_status(household.config)
        assert code is ExitCode.GAVE_UP
        assert document["supervisor"] == {"pid": None, "state": "STOPPED", "uptime_s": None}
        states = {process["name"]: process["state"] for process in document["processes"]}
        assert states == {"publisher": "EXITED", "submissions": "EXITED", "comments": "FATAL"}
        assert all(process["pid"] is None for process in document["processes"])
        assert "was killed, or the machine stopped: its last heartbeat was at" in status_text(household.config)

        household.server.start()  # over the stale socket and pid of the first
        household.wait_for("submissions", "RUNNING")
        household.wait_for("comments", "FATAL")
        assert household.server.stop() == 0
        text = status_text(household.config)
        assert "Supervisor: STOPPED since 20" in text
        assert "(exit code 0)" in text
        assert re.search(r"comments is parked: set REDDIT_CLIENT_ID \(\d+\.\d s ago\)", text)
        assert f"then: {program.command()} run {household.config}" in text, "nobody is there to restart it"
        assert ask_status(household.config)[0] is ExitCode.GAVE_UP
        assert not (household.home / "supervisor.sock").exists()


def test_one_that_hangs_is_not_called_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "core.status.system_status.control_client.ask", lambda state_dir, request: ask(state_dir, request, 0.3)
    )
    with living(tmp_path) as household:
        household.wait_until_all_run()
        household.server.freeze()
        # a thread of it may get an answer out before it, too, is stopped
        wait_until(lambda: ask_status(household.config)[0] is ExitCode.GAVE_UP, what="silence")
        document = household.status()
        assert document["supervisor"]["state"] == "UNRESPONSIVE"
        assert document["supervisor"]["pid"] == household.server.pid
        # as it wrote them down last, which may have been just before the last one was ready
        assert {process["state"] for process in document["processes"]} <= {"STARTING", "RUNNING"}
        assert all(process["rss_bytes"] for process in document["processes"])
        assert "does not answer within" in status_text(household.config)


def test_stopping_it_says_what_it_waits_for(tmp_path: Path) -> None:
    with living(tmp_path, *OBEDIENT[:2], "comments=SOURCE:deaf", timeout=4.0) as household:
        household.wait_for("comments", "RUNNING")
        household.server.signal(signal.SIGTERM)
        household.wait_for("comments", "STOPPING")
        assert household.status()["supervisor"]["state"] == "STOPPING"
        assert household.server.wait(20) == 3
        assert "(exit code 3)" in status_text(household.config)


def test_where_none_has_run_it_says_that(tmp_path: Path) -> None:
    config = configuration(tmp_path, tmp_path / "home")
    code, document = ask_status(config)
    assert (code, document["processes"]) == (ExitCode.GAVE_UP, [])
    assert document["quota"] == {"used": 0, "remaining": 1000, "reset_s": 0.0}
    assert "no supervisor has used this state directory yet" in status_text(config)
    assert not (tmp_path / "home").exists(), "asking makes nothing"


# The text


STREAM = StreamFlow(8453, 8440, 13, 2, 1, 1.25, proven_until=1_700_000_000.0, completeness=0.999951, unread_s=4.04)


def status_with(**changes: Any) -> Status:
    process = {"name": "comments", "pid": 7, "state": "RUNNING", "restarts": 2, "uptime_s": 75.0, "last_exit": -9}
    process |= {"rss_bytes": 50 * 2**20, "heartbeat_age_s": 0.31, "why": "", **changes}
    flow = Flow(QuotaFlow(41, 959, 150.0), {"comments": STREAM}, 8440, 2)
    return Status({"pid": 6, "state": "RUNNING", "uptime_s": 7380.0}, [process], flow, ["a remark"])


def test_the_text_fits_on_a_screen_and_aligns() -> None:
    text = Panel(Path("c.toml"), Path("logs")).render(status_with())
    assert text.splitlines() == [
        "Supervisor: RUNNING, pid 6, up 2 h 03 min",
        "",
        "PROCESS   STATE    PID  UPTIME      RESTARTS  LAST EXIT    MEMORY  HEARTBEAT",
        "comments  RUNNING    7  1 min 15 s         2  SIGKILL    50.0 MiB  0.3 s ago",
        "",
        "STREAM    CAPTURED  PUBLISHED  SPOOLED        GAPS    LAG     PROVEN  COMPLETE",
        "comments     8,453      8,440       13  2 (1 open)  1.2 s  4.0 s ago   99.99 %",
        "",
        "Kafka:  8,440 published, 2 errors",
        "Quota:  41 used, 959 remaining, reset in 2 min 30 s",
        "",
        "a remark",
    ]


CHANGED = ChangesStatus(
    checked={"submissions": 300, "comments": 4200},
    changes={"edit": 12, "score": 900, "removed": 7, "deleted": 30, "gone": 0},
    on_time_1h=389,
    late_1h=7,
    duties={"submissions": 400, "comments": 9000},
    overdue=1,
    oldest_due=NOON - 90,
)


def test_later_changes_are_one_line_and_a_part_of_the_document() -> None:
    status = replace(status_with(), changes=CHANGED, follows_changes=True, now=NOON)
    panel = Panel(Path("c.toml"), Path("logs"))
    assert (
        "\n\nChanges: 4,500 looks (12 edit, 900 score, 7 removed, 30 deleted); 97.98 % on time in the last hour;\n"
        "         9,400 items to look at again; the oldest overdue by 1 min 30 s\n\n"
    ) in panel.render(status)
    assert status.document()["changes"] == {
        "enabled": True,
        "checked": 4500,
        "events": {"edit": 12, "score": 900, "removed": 7, "deleted": 30, "gone": 0},
        "on_time": 389 / 397,
        "oldest_overdue_s": 90.0,
        "duties": 9400,
    }
    before = replace(status, changes=ChangesStatus(), follows_changes=False)
    assert "Changes: 0 looks (no change); 0 items to look at again; not enabled now\n" in panel.render(before)


def test_what_does_not_run_comes_with_what_to_do() -> None:
    panel = Panel(Path("c.toml"), Path("logs"))
    parked = panel.render(status_with(state="FATAL", pid=None, why="it says that no restart can help"))
    assert f"(see logs/comments.log), then: {program.command()} restart c.toml comments" in parked
    assert "(after a change of c.toml or .env: kill -HUP " in parked
    waiting = panel.render(status_with(state="BACKOFF", pid=None, restart_in_s=3.24))
    assert "comments restarts in 3.2 s" in waiting


def test_colours_only_where_they_are_wanted() -> None:
    coloured = Panel(Path("c.toml"), Path("logs"), colours=True).render(status_with(state="FATAL"))
    assert "\033[31mFATAL\033[0m" in coloured
    assert "\033" not in Panel(Path("c.toml"), Path("logs")).render(status_with(state="FATAL"))


@pytest.mark.parametrize(
    ("stream", "shown"),
    [
        ({"unread_s": None, "completeness": 0.0}, ["never", "0.00 %"]),
        ({"unread_s": 3720.0, "completeness": 0.5}, ["1 h 02 min ago", "50.00 %"]),
        ({"unread_s": 0.0, "completeness": 1.0}, ["0.0 s ago", "100 %"]),
        ({"gaps": 3, "open_gaps": 1, "lost_gaps": 2}, ["3 (1 open, 2 lost)"]),
        ({"gaps": 3, "open_gaps": 0, "lost_gaps": 0}, ["  3  "]),
    ],
)
def test_a_stream_says_up_to_when_it_is_proven_and_how_complete_it_is(stream: dict[str, Any], shown: list[str]) -> None:
    status = status_with()
    status.flow.streams["comments"] = replace(STREAM, **stream)
    text = Panel(Path("c.toml"), Path("logs")).render(status)
    for word in shown:
        assert word in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 00 s"), (3600, "1 h 00 min"), (90000, "1 d 01 h")],
)
def test_durations_in_words(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_rates_are_averages_over_ten_seconds_and_never_negative() -> None:
    speed = RateMeter()
    counts = {"comments": StreamFlow(captured=100, published=100)}
    assert speed.rates(0.0, counts) == {}
    for second in range(1, 31):
        rates = speed.rates(float(second), {"comments": StreamFlow(captured=100 + 20 * second, published=100)})
    assert rates == {"comments": Rates(20.0, 0.0)}
    assert speed.rates(31.0, {"comments": StreamFlow()}) == {"comments": Rates(0.0, 0.0)}, "a new spool"


def test_watching_looks_again_until_somebody_presses_ctrl_c(tmp_path: Path) -> None:
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    config = configuration(tmp_path, tmp_path / "home")
    out = io.StringIO()
    code = show_status(config, as_json=True, watch=True, out=out, sleep=sleep, clock=lambda: float(len(looks)))
    assert code is ExitCode.GAVE_UP
    assert [json.loads(line)["supervisor"]["state"] for line in out.getvalue().splitlines()] == ["STOPPED"] * 3
    SpoolWriter(tmp_path / "home", "comments").close()
    looks.clear()
    out = io.StringIO()
    show_status(config, as_json=False, watch=True, out=out, sleep=sleep, clock=lambda: float(len(looks)))
    assert out.getvalue().count("CAPTURED/S") == 3
