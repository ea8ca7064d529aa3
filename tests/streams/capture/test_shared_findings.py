"""What one stream learns about names saves the requests of the other one; nothing depends on it."""

from pathlib import Path

import pytest

from streams.capture.name_survey import NameSurvey
from streams.capture.shared_findings import SharedFindings
from tests.streams.capture.life import Clock


def pair(directory: Path, clock: Clock) -> tuple[SharedFindings, SharedFindings]:
    return SharedFindings(directory, "submissions", clock), SharedFindings(directory, "comments", clock)


def test_a_description_is_known_to_the_other_stream(tmp_path: Path) -> None:
    one, other = pair(tmp_path, Clock())
    one.describe(["Alpha", "Beta"], {"alpha"})
    assert other.described(["ALPHA", "Beta", "Gamma"]) == {"ALPHA": True, "Beta": False}
    assert one.described(["Alpha"]) == {"Alpha": True}
    one.describe(["Gamma"], {"gamma"})
    assert other.described(["Gamma"]) == {"Gamma": True}, "the file is read again when it changes"


def test_a_refusal_is_known_to_the_other_stream_only(tmp_path: Path) -> None:
    one, other = pair(tmp_path, Clock())
    one.refuse("Alpha", "private")
    assert other.refusal("alpha") == "private"
    assert one.refusal("Alpha") is None, "its own requests decide for it"
    assert other.refusal("Beta") is None


def test_an_old_finding_counts_no_more(tmp_path: Path) -> None:
    clock = Clock()
    one, other = pair(tmp_path, clock)
    one.refuse("Alpha", "private")
    one.describe(["Beta"], set())
    clock.advance(400.0)
    assert other.refusal("Alpha") is None
    assert other.described(["Beta"]) == {}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", '{"described": 7, "refused": []}', '{"described": {"alpha": [1]}, "refused": {"alpha": "no"}}',
     '{"described": {"alpha": ["yes", 1.0]}, "refused": {"alpha": [3, null]}}'],
)  # fmt: skip
def test_an_invalid_file_is_no_finding(tmp_path: Path, text: str) -> None:
    (tmp_path / "subreddits-comments.json").write_text(text)
    one, _ = pair(tmp_path, Clock())
    assert one.described(["Alpha"]) == {}
    assert one.refusal("Alpha") is None


def test_nothing_is_shared_without_a_directory(tmp_path: Path) -> None:
    alone = SharedFindings(None, "comments", Clock())
    alone.describe(["Alpha"], {"alpha"})
    alone.refuse("Beta", "banned")
    missing = SharedFindings(tmp_path / "missing", "comments", Clock())
    missing.refuse("Beta", "banned")
    assert alone.described(["Alpha"]) == {"Alpha": True}
    assert list(tmp_path.iterdir()) == []


def test_a_survey_asks_only_for_what_no_stream_knows() -> None:
    survey = NameSurvey([f"Name{number}" for number in range(250)])
    survey.learn({f"Name{number}": number != 7 for number in range(120)})
    assert survey.next() == tuple(f"Name{number}" for number in range(120, 220))
    survey.learn({f"Name{number}": True for number in range(120, 250)})
    assert survey.done
    assert survey.suspects() == ("Name7",)


def test_names_that_were_answered_need_no_survey_in_the_other_stream(tmp_path: Path) -> None:
    clock = Clock()
    one, other = pair(tmp_path, clock)
    one.answer(["alpha", "beta"])
    assert other.answered(["Alpha", "Gamma"]) == {"Alpha": True}
    assert other.described(["Alpha"]) == {}, "a refusal later makes it suspect again"
    assert not other.has_suspects()
    one.describe(["Gamma"], set())
    assert other.has_suspects()
    clock.advance(400.0)
    assert other.answered(["Alpha"]) == {}
    assert not other.has_suspects()
