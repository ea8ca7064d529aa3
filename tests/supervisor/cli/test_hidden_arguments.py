"""`ps` shows no secret of `--set`."""

import subprocess
import sys

import psutil
import pytest

from supervisor.cli.hidden_arguments import masked
from tests.support.system import ROOT
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("kafka.producer.sasl.password=S3CRET", "kafka.producer.sasl.password=***"),
        ("kafka.producer.sasl.pasword=S3CRET", "kafka.producer.sasl.pasword=***"),
        ('kafka.producer={"sasl.password" = "S3CRET"}', "kafka.producer=***"),
        ("database.url=postgresql://me:S3CRET@host/db", "database.url=***"),
        ('--set=scraper.proxies=[{name="a",url="me:S3CRET@h:1"}]', "--set=scraper.proxies=***"),
        ("kafka.topic=posts", "kafka.topic=posts"),
        ("--set", "--set"),
    ],
)
def test_values_that_may_hold_a_secret_are_masked(word: str, shown: str) -> None:
    assert masked(["run", word]) == ["run", shown]


def test_ps_shows_none() -> None:
    code = "import sys; from supervisor.cli.hidden_arguments import hide_secrets; hide_secrets(); sys.stdin.read()"
    command = [sys.executable, "-c", code, "--set", "kafka.producer.sasl.password=S3CRET"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
        seen = psutil.Process(process.pid)
        # for a moment between the two there is no command line at all
        masked_word = "kafka.producer.sasl.password=***"
        wait_until(lambda: masked_word in " ".join(seen.cmdline()), 20.0, "a command line without it")
        assert "S3CRET" not in " ".join(seen.cmdline())
        assert process.stdin is not None
        process.stdin.close()
