"""Shared by every process of Gapless: configuration, logs, the spool, the quota. Imports nothing of ours."""

import sys

# structlog loads rich wherever it finds it, for tracebacks that we never ask for: 4 MiB and a tenth of a second for
# every process. So it is hidden while structlog is imported, and only then: whoever wants rich may have it.
_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog.dev  # noqa: F401
finally:
    if _hidden:
        del sys.modules["rich"]
