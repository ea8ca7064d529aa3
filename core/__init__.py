"""Shared by every process of Gapless: configuration, logs, the spool, the quota. Imports nothing of ours."""

import sys

# structlog imports rich where it is installed, for tracebacks that we never use: 4 MiB and a tenth of a second for
# every process. So rich is hidden while structlog is imported, and only then: other code can still import it.
_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog.dev  # noqa: F401
finally:
    if _hidden:
        del sys.modules["rich"]
