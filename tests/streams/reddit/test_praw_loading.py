"""What a stream brings along when it starts."""

import subprocess
import sys


def test_a_stream_loads_praw_and_not_the_web_framework_that_its_update_checker_needs() -> None:
    """Where update_checker is installed, as with PRAW it is; and to others it still seems so."""
    code = (
        "import sys, streams.capture.capture_process; assert 'praw' in sys.modules; "
        "assert 'aiohttp' not in sys.modules; "
        "import update_checker; assert 'aiohttp' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
