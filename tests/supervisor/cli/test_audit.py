"""`audit` as text and as JSON: the sentence first, what it rests on, and what it does not cover."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.config import Config
from core.config.sections import RedditSection, StreamsSection, SupervisorSection
from core.errors import ExitCode, TransientError
from core.status.audit_store import AuditStore, Judged, Outcome, audit_path
from supervisor.cli.audit import Sampled, show_audit

NINE = 1_700_000_000.0  # 2023-11-14T22:13:20Z
NAMES = ("Bitcoin", "Ethereum", "CryptoMarkets")
CREDENTIALS = {"client_id": "id", "client_secret": "secret-of-the-client", "user_agent": "linux:test:1 (by /u/test)"}


@dataclass
class Result:
    """What a stream's audit returns."""

    sampled: int = 0
    waiting: int = 0
    ended: str = ""
    unused: Mapping[str, str] = field(default_factory=dict)


def store(
    state_dir: Path, stream: str, source: str, *, subreddit: str = "Bitcoin", each: int = 1, **outcomes: int
) -> None:
    """Store items, by the name of their outcome; `each`: items of a cluster."""
    file = AuditStore(state_dir, stream, lambda: NINE + 9000)
    for name, count in outcomes.items():
        items = [
            Judged(f"{source}{name}{one}{subreddit}", source, f"{name}{one // each}{subreddit}", NINE + one, subreddit)
            for one in range(count)
        ]
        file.add(items if name == "found" else [], [] if name == "found" else items)
        file.conclude([(one, Outcome(name)) for one in items if name != "found"])
    file.close()


def nothing(_config: Config, _items: int, _progress: Callable[[int, int], None]) -> Mapping[str, Sampled]:
    raise AssertionError("nothing is to be sampled")


def ask(
    state_dir: Path,
    *,
    sampler: Callable[..., Mapping[str, Sampled]] = nothing,
    items: int = 0,
    as_json: bool = False,
    credentials: Mapping[str, Any] = CREDENTIALS,
    **options: Any,
) -> tuple[ExitCode, str, str]:
    config = Config(
        reddit=RedditSection(subreddits=NAMES, **credentials),
        streams=StreamsSection(),
        supervisor=SupervisorSection(state_dir=state_dir),
    )
    out, err = io.StringIO(), io.StringIO()
    code = show_audit(config, items=items, sampler=sampler, as_json=as_json, out=out, err=err, **options)
    return code, out.getvalue(), err.getvalue()


def test_the_sentence_comes_first_and_all_fits_80_columns(tmp_path: Path) -> None:
    store(tmp_path, "submissions", "ids", found=990, missing_in_gap=7, removed_first=3)
    store(tmp_path, "comments", "trees", each=4, found=3000)
    store(tmp_path, "comments", "listing", found=300)
    store(tmp_path, "comments", "listing", subreddit="Ethereum", missing=1)
    code, text, err = ask(tmp_path)
    assert (code, err) == (ExitCode.OK, "")
    head, table, *rest = text.split("\n\n")
    assert " ".join(head.split()) == (
        "At most 0.45 % of the posts and comments created between 2023-11-14T22:13:20Z and 2023-11-14T23:03:19Z are"
        " missing outside the recorded gaps, with 95 % confidence: 4,301 sampled, 1 missing."
    )
    assert [line.split() for line in table.splitlines()] == [
        ["STREAM", "SOURCE", "SAMPLED", "FOUND", "MISSING", "IN", "GAPS", "REMOVED", "AT", "MOST"],
        ["submissions", "ids", "1,000", "990", "0", "7", "3"],
        ["submissions", "all", "1,000", "990", "0", "7", "3", "0.31", "%"],
        ["comments", "listing", "301", "300", "1", "0", "0"],
        ["comments", "trees", "3,000", "3,000", "0", "0", "0"],
        ["comments", "all", "3,301", "3,300", "1", "0", "0", "0.45", "%"],
    ]
    details = "\n\n".join(rest)
    assert "comments: the bound rests on 750 independent draws (comment trees" in details
    assert "7 missing items are in gaps that the ledger has: not counted." in details
    assert "missing by subreddit: r/Ethereum 1 of 1" in details
    assert "Sampled: 2 of 3 subreddits: r/Bitcoin, r/Ethereum." in details
    assert "No item sampled of: r/CryptoMarkets." in details
    assert "Not covered:" in details
    assert max(map(len, text.splitlines())) <= 80


def test_for_programs_it_has_the_shape_of_the_contract(tmp_path: Path) -> None:
    store(tmp_path, "submissions", "ids", found=996, missing=4)
    code, text, _ = ask(tmp_path, as_json=True)
    answer = json.loads(text)
    assert code is ExitCode.OK
    expected: dict[str, Any] = {
        "since": NINE,
        "until": NINE + 995,
        "sampled": 1000,
        "found": 996,
        "missing": 4,
        "missing_in_gaps": 0,
    }
    expected |= {"removed_first": 0, "confidence": 0.95, "sources": {"ids": {"sampled": 1000, "missing": 4}}}
    assert {name: answer[name] for name in expected} == expected
    assert 0.004 < answer["at_most"] < 0.015


def test_it_samples_and_then_reports_on_all_that_is_stored(tmp_path: Path) -> None:
    store(tmp_path, "submissions", "ids", found=100)

    def sampler(config: Config, items: int, progress: Callable[[int, int], None]) -> Mapping[str, Sampled]:
        store(config.supervisor.state_dir, "comments", "trees", found=items)
        progress(items, items)
        return {"comments": Result(items, 3, "the time is over", {"listing": "only one subreddit is captured"})}

    code, text, err = ask(tmp_path, items=400, sampler=sampler)
    assert code is ExitCode.OK
    assert "500 sampled, 0 missing" in " ".join(text.split())
    assert "the source listing was not used: only one subreddit is captured." in " ".join(text.split())
    assert "comments: 400 items sampled, then: the time is over" in err
    assert "comments: 3 items wait for a second look" in err


def test_without_credentials_it_reports_on_what_is_stored_and_says_so(tmp_path: Path) -> None:
    store(tmp_path, "submissions", "ids", found=100)
    code, text, err = ask(tmp_path, items=1000, credentials={})
    assert code is ExitCode.OK
    assert "100 sampled, 0 missing" in " ".join(text.split())
    assert "Nothing new was sampled" in err
    assert "client_id, client_secret" in err


def test_without_reddit_it_reports_on_what_is_stored_and_says_why(tmp_path: Path) -> None:
    store(tmp_path, "submissions", "ids", found=100)

    def sampler(*_arguments: object) -> Mapping[str, Sampled]:
        raise TransientError("Reddit does not answer")

    code, text, err = ask(tmp_path, items=1000, sampler=sampler, as_json=True)
    assert code is ExitCode.OK
    assert json.loads(text)["sampled"] == 100
    assert "Reddit does not answer" in err


def test_too_few_samples_are_called_so(tmp_path: Path) -> None:
    store(tmp_path, "comments", "trees", each=4, found=40)
    _, text, _ = ask(tmp_path)
    assert " ".join(text.split()).startswith(
        "Too few samples for a useful statement: 40 sampled, 0 missing, in 10 independent draws. At most 29 % of the"
        " comments created"
    )
    assert "The statement does not cover submissions: nothing of it was sampled." in " ".join(text.split())


def test_without_observations_nothing_is_claimed(tmp_path: Path) -> None:
    code, text, _ = ask(tmp_path)
    assert code is ExitCode.OK
    assert text.startswith("Nothing is known: no item has been sampled.\n")
    answer = json.loads(ask(tmp_path, as_json=True)[1])
    assert (answer["at_most"], answer["sampled"], answer["since"]) == (1.0, 0, None)


def test_a_time_can_be_chosen(tmp_path: Path) -> None:
    store(tmp_path, "submissions", "ids", found=500)
    answer = json.loads(ask(tmp_path, as_json=True, since=NINE + 100, until=NINE + 199)[1])
    assert (answer["sampled"], answer["since"], answer["until"]) == (100, NINE + 100, NINE + 199)
    code, _, err = ask(tmp_path, since=NINE, until=NINE - 1)
    assert (code, err) == (ExitCode.BAD_USAGE, "--since must not be later than --until\n")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    audit_path(tmp_path, "comments").write_bytes(b"no database " * 500)
    code, text, err = ask(tmp_path)
    assert (code, text) == (ExitCode.GAVE_UP, "")
    assert "The observations cannot be read" in err
    assert str(audit_path(tmp_path, "comments")) in err


@pytest.mark.parametrize("hostile", ["\x1b[2J", "secret-of-the-client"])
def test_names_from_outside_do_no_harm(tmp_path: Path, hostile: str) -> None:
    store(tmp_path, "comments", f"trees{hostile}", found=100)
    _, text, _ = ask(tmp_path)
    assert "\x1b" not in text
    assert "comments" in text
