"""Names of items that exist: an answer without them proves nothing about the items that it does not show. Pure."""

from collections import OrderedDict
from collections.abc import Iterable

#: Names that are remembered, and names that are added to one request.
_REMEMBERED = 8
_ADDED = 2


class Witnesses:
    """Remembers a few items that were seen recently."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def saw(self, names: Iterable[str]) -> None:
        """Remember that these items were seen just now."""
        for name in names:
            self._names.pop(name, None)
            self._names[name] = None
        while len(self._names) > _REMEMBERED:
            self._names.popitem(last=False)

    def names(self) -> list[str]:
        """Return the names, the most recent last."""
        return list(self._names)

    def missed(self, names: Iterable[str]) -> None:
        """Forget items that were not in an answer."""
        for name in names:
            self._names.pop(name, None)

    def choose(self, asked: Iterable[str], room: int) -> list[str]:
        """Return names to add to a request that asks for others; at most `room`."""
        others = set(asked)
        found = [name for name in reversed(self._names) if name not in others]
        return found[: max(0, min(room, _ADDED))]
