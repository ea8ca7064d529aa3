"""An entry whose import does not come to an end."""

import threading

import structlog

structlog.stdlib.get_logger(__name__).info("importing")
threading.Event().wait(60.0)


def never_reached() -> None:
    """Stand for the work."""
    raise AssertionError("the import ended")
