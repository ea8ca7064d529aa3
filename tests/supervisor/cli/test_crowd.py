"""Tests that `status` and `gaps` stay short, complete on request, and quick with 5,000 subreddits and 600 gaps."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import ExitCode
from supervisor.cli.gaps import show_gaps
from supervisor.cli.status import show_status
from tests.supervisor.crowd import OLDEST, Crowd, write_configuration
from tests.support.durations import allowed


def gaps(state: Crowd, place: Path, **options: Any) -> str:
    out, err = io.StringIO(), io.StringIO()
    given = {"as_json": False, **options}
    code = show_gaps(state.config(place), state.now + 5, out=out, err=err, **given)
    assert (code, err.getvalue()) == (ExitCode.OK, "")
    return out.getvalue()


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the shortest of three runs."""
    runs = []
    for _ in range(3):
        began = time.process_time()
        work()
        runs.append(time.process_time() - began)
    return min(runs)


class TestGaps:
    def test_the_text_lists_the_worst_and_says_how_many_are_not_shown(self, crowd: tuple[Crowd, Path]) -> None:
        text = gaps(*crowd)
        lines = text.splitlines()
        assert len(lines) < 90
        assert "600 gaps: 200 open, 200 repaired, 98 filled, 102 lost." in lines
        rest = "The 20 worst are shown, 580 are not. All: --all, or --json. Fewer: --subreddit NAME, --since TIME."
        assert rest in lines
        first = next(line for line in lines if line.startswith(("submissions-", "comments-")))
        assert first.startswith("submissions-1 "), "the lost one of 4,900 subreddits"
        assert "and 4,895 more (see --json)" in " ".join(text.split())
        assert "repaired  " not in text

    def test_one_subreddit_behind_is_not_said_of_all(self, crowd: tuple[Crowd, Path]) -> None:
        first, second = gaps(*crowd).splitlines()[:2]
        assert "1 h 00 min ago; 1 of 4,950 subreddits not read for over 1 min 17 s" in first
        assert f"oldest: r/{OLDEST} " in second

    def test_all_of_them_on_request(self, crowd: tuple[Crowd, Path]) -> None:
        text = gaps(*crowd, every=True)
        assert sum(line.startswith(("submissions-", "comments-")) for line in text.splitlines()) == 600
        assert "are not" not in text

    def test_one_subreddit_is_named_first_in_its_gaps(self, crowd: tuple[Crowd, Path]) -> None:
        text = gaps(*crowd, subreddits=[OLDEST.lower()])
        assert "4 gaps: 2 open, 2 lost." in text
        assert text.count(f"    r/{OLDEST}, ") == 4

    def test_json_is_complete(self, crowd: tuple[Crowd, Path]) -> None:
        document = json.loads(gaps(*crowd, as_json=True))
        assert [len(moments) for moments in document["proven_until"].values()] == [5000, 5000]
        assert len(document["gaps"]) == 600
        assert max(len(gap["subreddits"]) for gap in document["gaps"]) == 4900

    def test_both_forms_are_quick(self, crowd: tuple[Crowd, Path]) -> None:
        """Measured: 0.05 s and 0.15 s of CPU time; the names were once searched anew for each name (6 s)."""
        assert cpu_seconds(lambda: gaps(*crowd)) < allowed(0.5)
        assert cpu_seconds(lambda: gaps(*crowd, as_json=True)) < allowed(1.0)


class TestStatus:
    def text(self, path: Path) -> str:
        out = io.StringIO()
        assert show_status(path, as_json=False, watch=False, out=out) is ExitCode.GAVE_UP, "nothing runs"
        return out.getvalue()

    def test_the_text_is_a_summary_with_the_worst(self, crowd: tuple[Crowd, Path]) -> None:
        text = self.text(write_configuration(*crowd))
        summary = "Subreddits: 5,000 configured: 50 unavailable, 395 with open gaps, 4,900 with lost gaps"
        assert summary in text
        assert "worst: r/Sub_0" in text
        assert "submissions needs 141 requests a minute, gets 50; 2,500 subreddits" in " ".join(text.split())
        assert "--subreddit NAME" in text
        assert len(text.splitlines()) < 25
        assert max(map(len, text.splitlines())) < 200

    def test_it_is_quick(self, crowd: tuple[Crowd, Path]) -> None:
        """Measured: 0.15 s of CPU time."""
        path = write_configuration(*crowd)
        assert cpu_seconds(lambda: self.text(path)) < allowed(0.6)
