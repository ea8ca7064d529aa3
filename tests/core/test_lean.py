"""What importing us costs others."""

import subprocess
import sys


def test_rich_is_not_loaded_for_nothing_and_stays_there_for_who_wants_it() -> None:
    code = (
        "import sys, core.logging.log_setup; assert 'rich' not in sys.modules; "
        "import importlib.util; assert importlib.util.find_spec('rich'); import rich"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_metadata_of_packages_is_loaded_only_when_it_is_used() -> None:
    code = (
        "import sys, scraper.scraper_process; assert 'zipfile' not in sys.modules; "
        "import importlib.metadata; from importlib.metadata import version; assert version('structlog'); "
        "assert 'zipfile' in sys.modules; assert sys.modules['importlib.metadata'] is importlib.metadata"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
