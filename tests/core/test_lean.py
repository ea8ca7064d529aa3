"""What importing us costs others."""

import subprocess
import sys


def test_rich_is_not_loaded_for_nothing_and_stays_there_for_who_wants_it() -> None:
    code = (
        "import sys, core.logging.log_setup; assert 'rich' not in sys.modules; "
        "import importlib.util; assert importlib.util.find_spec('rich'); import rich"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
