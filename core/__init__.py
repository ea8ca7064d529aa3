"""Shared by every process of Gapless: configuration, logs, the spool, the quota. Imports nothing of ours."""

import sys
from importlib import import_module
from types import ModuleType

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


def _on_demand(package: str, name: str) -> None:
    """Import a module only when something in it is used; a module that is already there stays."""
    full = f"{package}.{name}"
    if full in sys.modules:
        return
    stand_in = ModuleType(full)

    def load(attribute: str) -> object:
        if sys.modules.get(full) is stand_in:
            del sys.modules[full]
        return getattr(import_module(full), attribute)

    vars(stand_in)["__getattr__"] = load
    sys.modules[full] = stand_in
    setattr(sys.modules[package], name, stand_in)


# SQLAlchemy imports this module for databases that we do not use; with csv, zipfile and others it takes 0.7 MiB
_on_demand("importlib", "metadata")
