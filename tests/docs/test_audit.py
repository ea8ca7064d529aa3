"""`make lint` fails over a known vulnerability only: not where the data of pip-audit cannot be reached."""

import json

import pytest

from tests.audit import summarise

BAD = {"name": "requests", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
GOOD = {"name": "praw", "version": "8.0", "vulns": []}
UNKNOWN = {"name": "aiohttp", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("answer", "complaint", "fails", "says"),
    [
        (json.dumps({"dependencies": [GOOD, BAD]}), "", True, "requests 2.0: PYSEC-1 (fixed in 2.1)"),
        (json.dumps({"dependencies": [GOOD]}), "", False, "no known vulnerability in 1 packages"),
        (json.dumps({"dependencies": [GOOD, UNKNOWN]}), "", False, "1 are not known there"),
        (json.dumps({"dependencies": [UNKNOWN]}), "", False, "skipped"),
        ("", "Traceback\nConnectionError: no route", False, "skipped, its data cannot be reached (ConnectionError"),
        ("", "", False, "skipped"),
        ("[]", "", False, "skipped"),
    ],
)
def test_what_it_comes_to(answer: str, complaint: str, fails: bool, says: str) -> None:
    found, line = summarise(answer, complaint)
    assert found is fails
    assert says in line
