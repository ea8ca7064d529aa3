"""The audit at the end of the demo: the same as the command, for items that are seconds old."""

import threading

from core.config import Config
from core.logging import log_setup
from core.status.audit_sentence import sentence
from core.status.audit_status import audited_streams, read_report

#: Size of the sample, and the longest time that it may take, seconds.
_ITEMS = 800
_LONGEST_S = 8.0

#: In production items are judged after ten minutes, and trees read after an hour; the demo lasts a minute.
_ITEM_AGE_S, _POST_AGE_S, _CONFIRM_S = 10.0, 15.0, 1.0


def audited(config: Config, stop: threading.Event) -> str:
    """Sample, and return the statement in one sentence. Raises GaplessError, OSError, sqlite3.Error."""
    from streams.audit.command import run_audit  # noqa: PLC0415 - PRAW only now: it takes a second to load
    from streams.audit.runner import Ages  # noqa: PLC0415

    run_audit(
        config,
        _ITEMS,
        _LONGEST_S,
        log=log_setup.get_logger("audit"),
        stop=stop,
        ages=Ages(_ITEM_AGE_S, _POST_AGE_S, _CONFIRM_S),
    )
    streams = audited_streams(config.streams.enabled)
    return sentence(read_report(config.supervisor.state_dir, streams, float("-inf"), float("inf")))
