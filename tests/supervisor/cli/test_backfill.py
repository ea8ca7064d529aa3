"""`backfill`: its options, its errors, and its last line."""

import io
from pathlib import Path

import pytest

from core.config import Config
from core.config.sections import KafkaSection
from core.errors import ConfigError
from streams.publisher.dump_publisher import BackfillOptions, BackfillResult, Progress
from supervisor.cli import main
from supervisor.cli.backfill import _report, _size, backfill, progress_text


def test_the_last_line_has_plain_numbers() -> None:
    out, err = io.StringIO(), io.StringIO()
    result = BackfillResult(published=1234567, skipped=5, bad=2, bad_files=[Path("x.lines")], stopped=True)
    _report(result, out, err)
    assert out.getvalue().splitlines()[-1] == "1234567 records published, 5 skipped, 2 bad lines"
    assert "x.lines" in err.getvalue()
    assert "The same command continues" in err.getvalue()


def test_sizes() -> None:
    assert [_size(text) for text in ("100", "64K", "512M", "3g", "2GiB")] == [100, 65536, 512 << 20, 3 << 30, 2 << 30]


def test_a_line_of_progress_fits_a_terminal() -> None:
    progress = Progress(Path("RC_2023-01.zst"), 1, 2, 10**9, 2 * 10**10, 10**7, 10**6, 100.0, blocked=False)
    text = progress_text(progress)
    assert text.startswith("1/2  RC_2023-01.zst  5 %  10,000,000 lines  1,000,000 records  10.0 MB/s")


@pytest.mark.parametrize("line", ["missing.zst", ".", "x --since 2h --until 3h", "x --memory lots", "x --kind changes"])
def test_mistakes_end_with_code_2(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "c.toml").touch()
    words = [str(tmp_path / word) if word in ("missing.zst", "x", ".") else word for word in line.split()]
    with pytest.raises(SystemExit) as caught:
        main.main(["backfill", str(tmp_path / "c.toml"), *words])
    assert caught.value.code == 2
    assert "backfill" in capsys.readouterr().err


def test_it_needs_a_broker_with_an_address() -> None:
    config = Config(kafka=KafkaSection(bootstrap_servers="embedded"))
    with pytest.raises(ConfigError, match="needs a broker that runs"):
        backfill(config, [], BackfillOptions(), out=io.StringIO(), err=io.StringIO())
