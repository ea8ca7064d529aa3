"""The mark of an outage: there while Kafka is away, whoever dies meanwhile."""

import json
from pathlib import Path

import pytest

from core.status.kafka_outage import REFUSED_FOR, OutageMark, outage_path, read_outage, read_refusal

NOON = 1_800_000_000.0


def test_nobody_misses_kafka_until_someone_says_so(tmp_path: Path) -> None:
    assert read_outage(tmp_path) is None
    OutageMark(tmp_path).ends()
    assert list(tmp_path.iterdir()) == []


def test_it_stands_from_the_beginning_to_the_end_of_an_outage(tmp_path: Path) -> None:
    mark = OutageMark(tmp_path, lambda: NOON)
    mark.begins(3.0)
    assert read_outage(tmp_path) == NOON - 3.0
    mark.ends()
    assert read_outage(tmp_path) is None


def test_a_new_publisher_keeps_the_beginning_and_takes_the_mark_away(tmp_path: Path) -> None:
    OutageMark(tmp_path, lambda: NOON).begins(0.0)
    successor = OutageMark(tmp_path, lambda: NOON + 60)
    successor.begins(8.0)
    assert read_outage(tmp_path) == NOON
    successor.ends()
    assert read_outage(tmp_path) is None


def test_a_disk_that_takes_nothing_is_said_and_endured(tmp_path: Path) -> None:
    mark = OutageMark(tmp_path / "gone")
    mark.begins(1.0)
    assert read_outage(tmp_path / "gone") is None


def test_a_kafka_that_is_there_and_refuses_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    mark = OutageMark(tmp_path, lambda: NOON)
    mark.refused("no right to write")
    assert read_refusal(tmp_path, NOON) == "", "there is no outage"
    mark.begins(3.0)
    assert read_refusal(tmp_path, NOON) == ""
    mark.refused("no right to write")
    assert read_refusal(tmp_path, NOON + 5) == "no right to write"
    assert read_outage(tmp_path) == NOON - 3.0
    assert read_refusal(tmp_path, NOON + REFUSED_FOR) == "", "it may have gone away since"
    mark.ends()
    assert read_refusal(tmp_path, NOON) == ""


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"since": "noon"}), "\x00"])
def test_a_file_without_sense_is_no_outage(tmp_path: Path, text: str) -> None:
    outage_path(tmp_path).write_text(text)
    assert read_outage(tmp_path) is None
