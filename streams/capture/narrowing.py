"""Narrowing down which subreddits make a combined request fail, one request at a time. Pure.

A failure says something about a name only when a request without that name succeeds. So the search first goes down to
one name, then tries a few others alone; if none of them answers, the problem is ours (account, network, Reddit as a
whole), and no name is set aside.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Other names that are tried alone before the problem counts as ours.
_CONTROLS = 3


@dataclass(slots=True)
class Narrowing:
    """One search. Request `next()`, report `answered()` or `refused(…)`, until `done`.

    `blamed` maps each name that fails alone to the reason. `ours` is set when every request failed without a reason
    that names the subreddit. Neither: each part answers, so only the combination fails.
    """

    names: Sequence[str]
    #: whether other requests of this process succeed meanwhile: then a failure is never ours
    others_answer: bool = False
    blamed: dict[str, str] = field(default_factory=dict)
    ours: bool = False
    reason: str = ""
    _queue: "deque[tuple[str, ...]]" = field(default_factory=deque)
    _parked: list[tuple[str, ...]] = field(default_factory=list)
    _suspects: dict[str, str] = field(default_factory=dict)
    _answers: int = 0
    _controls: int = 0

    def __post_init__(self) -> None:
        names = tuple(self.names)
        if len(names) == 1:
            self._queue.append(names)
        else:
            self._queue.extend(_halves(names))

    @property
    def done(self) -> bool:
        """Whether the search is over."""
        return not self._queue

    def next(self) -> tuple[str, ...]:
        """Return the names to request together now."""
        return self._queue[0]

    def answered(self) -> None:
        """Report that the request succeeded: from now on failures are about the names."""
        self._queue.popleft()
        self._answers += 1
        self._release()

    def refused(self, reason: str, *, named: bool = False) -> None:
        """Report that the request failed; `named`: Reddit gave a reason that is about the subreddit."""
        names = self._queue.popleft()
        self.reason = reason
        if len(names) > 1:
            self._queue.extendleft(reversed(_halves(names)))
            return
        if named or self._informed:
            self.blamed[names[0]] = reason
            return
        self._suspects[names[0]] = reason
        self._controls += 1
        self._try_another()

    @property
    def _informed(self) -> bool:
        return self.others_answer or self._answers > 0

    def _release(self) -> None:
        """Blame the names that failed alone before anything had answered."""
        self.blamed |= self._suspects
        self._suspects.clear()

    def _try_another(self) -> None:
        """Go on with a single name of another part, or conclude that the problem is ours."""
        if self._controls > _CONTROLS or not self._queue:
            self.ours = not self.blamed
            self._queue.clear()
            return
        part = self._queue.pop()
        self._queue.appendleft((part[-1],))
        if len(part) > 1:
            self._queue.append(part[:-1])


def _halves(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    middle = len(names) // 2
    return [names[:middle], names[middle:]]
