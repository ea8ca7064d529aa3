"""`gaps` as text and as JSON, running or stopped; it never claims more than was read."""

import argparse
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.config import Config
from core.config.sections import RedditSection, StreamsSection, SupervisorSection
from core.errors import ExitCode
from core.spool import Batch, Gap, GapState, SpoolWriter
from supervisor.cli.arguments import moment, subreddit
from supervisor.cli.gaps import show_gaps

NINE = 1_700_000_000.0  # 2023-11-14T22:13:20Z


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SpoolWriter]:
    writer = SpoolWriter(tmp_path, "comments")
    writer.commit(Batch(cursor={"origin": "settled"}))
    yield writer
    writer.close()


@dataclass
class Asked:
    """One call of the command, with its arguments."""

    state_dir: Path
    now: float = NINE + 200
    names: tuple[str, ...] = ("Bitcoin", "Ethereum")
    streams: StreamsSection = field(default_factory=lambda: StreamsSection(submissions=False))

    def text(self, **options: Any) -> tuple[ExitCode, str, str]:
        config = Config(
            reddit=RedditSection(subreddits=self.names),
            streams=self.streams,
            supervisor=SupervisorSection(state_dir=self.state_dir),
        )
        out, err = io.StringIO(), io.StringIO()
        code = show_gaps(config, self.now, as_json=False, out=out, err=err, **options)
        return code, out.getvalue(), err.getvalue()

    def document(self, **options: Any) -> dict[str, Any]:
        config = Config(
            reddit=RedditSection(subreddits=self.names),
            streams=self.streams,
            supervisor=SupervisorSection(state_dir=self.state_dir),
        )
        out = io.StringIO()
        show_gaps(config, self.now, as_json=True, out=out, err=io.StringIO(), **options)
        answer: dict[str, Any] = json.loads(out.getvalue())
        return answer


def record(writer: SpoolWriter, **more: object) -> None:
    gap = Gap("comments", ("Bitcoin", "ethereum"), NINE, NINE + 90, "the listing ended", NINE + 95, 2, found=7)
    for name, value in more.items():
        setattr(gap, name, value)
    writer.commit(Batch(gaps=[gap]))


def prove(writer: SpoolWriter, **moments: float) -> None:
    writer.commit(Batch(cursor={"proven_until": moments, "begun": NINE - 600}))


def test_where_nothing_was_captured_it_says_so(tmp_path: Path) -> None:
    code, text, complaint = Asked(tmp_path).text()
    assert (code, complaint) == (ExitCode.OK, "")
    assert text.splitlines()[0] == "comments: not proven yet: no listing has been read to its end."
    assert text.endswith(f"No stream has stored anything in {tmp_path} yet.\n")
    assert Asked(tmp_path).document() == {
        "proven_until": {"comments": {"Bitcoin": None, "Ethereum": None}},
        "gaps": [],
    }
    assert list(tmp_path.iterdir()) == []


def test_a_new_spool_is_proven_of_nothing(writer: SpoolWriter, tmp_path: Path) -> None:
    assert writer.stream == "comments"
    text = Asked(tmp_path).text()[1]
    assert "not proven yet" in text
    assert "contiguous" not in text


def test_a_stream_that_is_proven_up_to_now_says_until_when(writer: SpoolWriter, tmp_path: Path) -> None:
    prove(writer, bitcoin=NINE + 196, ethereum=NINE + 198)
    assert Asked(tmp_path).text()[1].splitlines() == [
        "comments: proven until 2023-11-14T22:16:36Z, 4.0 s ago.",
        "",
        "No gaps are recorded.",
    ]


def test_an_old_proof_is_said_first_with_its_age_and_the_worst_subreddits(writer: SpoolWriter, tmp_path: Path) -> None:
    record(writer)
    names = tuple(f"Name{number}" for number in range(9))
    prove(writer, **{name.lower(): NINE + number for number, name in enumerate(names)})
    first, rest = Asked(tmp_path, NINE + 7200, names).text()[1].split("\n", 1)
    assert first == "comments: proven until 2023-11-14T22:13:20Z, 2 h 00 min ago; no listing was read since then."
    worst = " ".join(rest.partition("\n\n")[0].split())
    assert worst.startswith("oldest: r/Name0 2023-11-14T22:13:20Z, r/Name1 2023-11-14T22:13:21Z")
    assert worst.endswith("and 4 more (see --json)")


def test_subreddits_that_are_all_as_old_are_not_listed(writer: SpoolWriter, tmp_path: Path) -> None:
    prove(writer, bitcoin=NINE, ethereum=NINE)
    assert Asked(tmp_path, NINE + 7200).text()[1].splitlines()[1] == ""


def test_of_subreddits_some_of_which_were_never_read_those_come_first(writer: SpoolWriter, tmp_path: Path) -> None:
    prove(writer, bitcoin=NINE + 199)
    first, second, *_ = Asked(tmp_path).text()[1].splitlines()
    assert first == "comments: not proven yet for 1 of 2 subreddits."
    assert second == "    oldest: r/Ethereum never"


def test_while_nobody_knows_whether_it_is_the_first_start_it_says_so(writer: SpoolWriter, tmp_path: Path) -> None:
    prove(writer, bitcoin=NINE + 199, ethereum=NINE + 199)
    assert "first start" not in Asked(tmp_path).text()[1]
    writer.commit(Batch(cursor={"origin": "unknown"}))
    assert "not known yet whether this is the first start" in " ".join(Asked(tmp_path).text()[1].split())


def test_reddits_clock_decides_what_is_old(writer: SpoolWriter, tmp_path: Path) -> None:
    prove(writer, bitcoin=NINE + 3790, ethereum=NINE + 3795)
    writer.commit(Batch(cursor={"clock_offset": 3600.0}))
    assert ", 10.0 s ago." in Asked(tmp_path).text()[1].splitlines()[0]


@pytest.mark.parametrize("running", [True, False])
def test_a_gap_is_a_line_of_a_table_and_its_reason_below(writer: SpoolWriter, tmp_path: Path, running: bool) -> None:
    record(writer, late_from=NINE - 300)
    record(writer, start=None, state=GapState.REPAIRED, closed_at=NINE + 200)
    record(writer, end=None, unproven=("ethereum",), reason="r/ethereum is private")
    prove(writer, bitcoin=NINE + 198, ethereum=NINE)
    if not running:
        writer.close()
    code, text, _ = Asked(tmp_path).text()
    proven, away, blank, heading, first, why, late, second, _, third, private, _, total = text.splitlines()
    assert (code, blank) == (ExitCode.OK, "")
    assert proven == "comments: proven until 2023-11-14T22:16:38Z, 2.0 s ago."
    assert away == "    in a gap without end: r/Ethereum"
    assert heading.split() == ["ID", "FROM", "TO", "STATE", "FOUND"]
    assert first.split() == ["comments-1", "2023-11-14T22:13:20Z", "2023-11-14T22:14:50Z", "open", "7"]
    assert f"{why} {late.strip()}" == (
        "    r/Bitcoin, r/Ethereum: the listing ended; late items may be missing from 2023-11-14T22:08:20Z"
    )
    assert second.split() == ["comments-2", "the", "beginning", "2023-11-14T22:14:50Z", "repaired", "7"]
    assert third.split() == ["comments-3", "2023-11-14T22:13:20Z", "not", "ended", "open", "7"]
    assert private == "    r/Ethereum: r/ethereum is private"
    assert total == "3 gaps: 2 open, 1 repaired."
    assert max(map(len, text.splitlines())) <= 80


def test_for_programs_it_has_the_shape_of_the_contract(writer: SpoolWriter, tmp_path: Path) -> None:
    record(writer, late_from=NINE - 300)
    record(writer, start=None, end=None, unproven=("ethereum",), state=GapState.LOST, closed_at=NINE + 100)
    prove(writer, bitcoin=NINE + 198)
    document = Asked(tmp_path).document()
    assert document["proven_until"] == {"comments": {"Bitcoin": NINE + 198, "Ethereum": None}}
    first, second = document["gaps"]
    assert first == {
        "id": "comments-1",
        "stream": "comments",
        "subreddits": ["Bitcoin", "Ethereum"],
        "from": NINE,
        "to": NINE + 90,
        "late_from": NINE - 300,
        "reason": "the listing ended",
        "state": "open",
        "found": 7,
        "recorded_at": NINE + 95,
        "closed_at": None,
    }
    assert (second["from"], second["to"], second["subreddits"]) == (0.0, None, ["Ethereum"])
    assert (second["state"], second["closed_at"]) == ("lost", NINE + 100)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"since": NINE + 90}, {1, 3}),
        ({"since": NINE + 91}, {3}),
        ({"until": NINE - 1}, {2}),
        ({"until": NINE - 301}, {2}),
        ({"until": NINE}, {1, 2}),
        ({"since": NINE - 50, "until": NINE - 40}, {2}),
        ({"subreddits": ["BITCOIN"]}, {1, 2}),
        ({"subreddits": ["ethereum", "bitcoin"]}, {1, 2, 3}),
        ({"subreddits": ["ethereum"], "since": NINE + 500}, {3}),
    ],
    ids=str,
)
def test_a_part_of_the_ledger_is_what_touches_it(
    writer: SpoolWriter, tmp_path: Path, options: dict[str, Any], expected: set[int]
) -> None:
    record(writer)
    record(writer, start=None, end=NINE - 10, subreddits=("bitcoin",))
    record(writer, start=NINE + 100, end=None, subreddits=("Ethereum",))
    found = {int(gap["id"].rpartition("-")[2]) for gap in Asked(tmp_path).document(**options)["gaps"]}
    assert found == expected


def test_time_where_late_items_may_be_missing_belongs_to_the_gap(writer: SpoolWriter, tmp_path: Path) -> None:
    record(writer, late_from=NINE - 300)
    assert len(Asked(tmp_path).document(until=NINE - 300)["gaps"]) == 1
    assert Asked(tmp_path).document(until=NINE - 301)["gaps"] == []


def test_a_part_without_gaps_is_called_a_part_and_names_only_its_subreddits(
    writer: SpoolWriter, tmp_path: Path
) -> None:
    record(writer)
    prove(writer, bitcoin=NINE + 198, ethereum=NINE + 190)
    first, _, last = Asked(tmp_path).text(since=NINE + 1000, subreddits=["bitcoin"])[1].splitlines()
    assert first == "comments: proven until 2023-11-14T22:16:38Z, 2.0 s ago."
    assert last == "No gaps are recorded in this selection."
    assert Asked(tmp_path).document(subreddits=["bitcoin"])["proven_until"] == {"comments": {"Bitcoin": NINE + 198}}


def test_what_makes_no_sense_is_refused_with_what_would_be_right(writer: SpoolWriter, tmp_path: Path) -> None:
    record(writer, subreddits=("formerly",))
    code, text, complaint = Asked(tmp_path).text(subreddits=["Bitcon"])
    assert (code, text) == (ExitCode.BAD_USAGE, "")
    assert complaint == "r/bitcon is not configured, and no gap contains it; did you mean r/Bitcoin?\n"
    assert Asked(tmp_path).text(since=5.0, until=4.0)[2] == "--since must not be later than --until\n"
    assert Asked(tmp_path).text(subreddits=["formerly"])[0] is ExitCode.OK


def test_both_streams_have_a_line_and_their_gaps_are_told_apart(tmp_path: Path) -> None:
    for stream in ("submissions", "comments"):
        with SpoolWriter(tmp_path, stream) as writer:
            gap = Gap(stream, ("Bitcoin",), NINE, NINE + 90, "the listing ended", NINE + 95, 2)
            writer.commit(Batch(gaps=[gap], cursor={"origin": "settled", "proven_until": {"bitcoin": NINE + 199}}))
    asked = Asked(tmp_path, names=("Bitcoin",), streams=StreamsSection())
    assert [gap["id"] for gap in asked.document()["gaps"]] == ["submissions-1", "comments-1"]
    assert [line.partition(":")[0] for line in asked.text()[1].splitlines()[:2]] == ["submissions", "comments"]


def test_a_broken_file_is_named_and_the_other_stream_is_still_shown(writer: SpoolWriter, tmp_path: Path) -> None:
    record(writer)
    (tmp_path / "spool-submissions.db").write_bytes(b"no database " * 1000)
    code, text, complaint = Asked(tmp_path).text()
    assert code is ExitCode.GAVE_UP
    assert "the listing ended" in text
    assert "submissions" in complaint


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", NINE),
        ("1700000000.5", NINE + 0.5),
        ("2023-11-14T22:13:20Z", NINE),
        ("2023-11-14T22:13:20", NINE),
        ("2023-11-14T23:13:20+01:00", NINE),
        ("2023-11-14", 1_699_920_000.0),
        ("2h", NINE - 7200),
        ("1h30m", NINE - 5400),
        ("0s", NINE),
    ],
)
def test_a_time_is_iso_8601_epoch_seconds_or_an_age(text: str, seconds: float) -> None:
    assert moment(text, clock=lambda: NINE) == seconds


@pytest.mark.parametrize("text", ["", "yesterday", "nan", "inf", "2h ago", "2023-13-01", "-2h"])
def test_other_times_are_refused_with_examples(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="such as 2026-11-28T09:00:00Z, epoch seconds, or an age"):
        moment(text)


def test_a_subreddit_may_be_written_with_its_prefix() -> None:
    assert [subreddit(text) for text in ("Bitcoin", "r/Bitcoin", "/r/Bitcoin/")] == ["Bitcoin"] * 3
    with pytest.raises(argparse.ArgumentTypeError):
        subreddit("r/")


def test_each_stream_shows_its_own_subreddits(tmp_path: Path) -> None:
    streams = StreamsSection(comments=("Ethereum", "CryptoMarkets"))
    answer = Asked(tmp_path, streams=streams).document()
    assert {stream: list(proven) for stream, proven in answer["proven_until"].items()} == {
        "submissions": ["Bitcoin", "Ethereum"],
        "comments": ["Ethereum", "CryptoMarkets"],
    }
    assert Asked(tmp_path, streams=streams).text(subreddits=("cryptomarkets",))[0] is ExitCode.OK
    code, _, complaint = Asked(tmp_path, streams=streams).text(subreddits=("Dogecoin",))
    assert (code, "not configured" in complaint) == (ExitCode.BAD_USAGE, True)
