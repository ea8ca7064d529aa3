"""Narrowing down which subreddits make a combined request fail, one request at a time. Pure.

A failure says something about a name only when a request without that name succeeds before it and after it. So the
search first goes down to one name, then tries a few others alone; if none of them answers, the problem is ours
(account, network, Reddit as a whole), and no name is set aside. What fails once something has answered is blamed after
what answered has answered again.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Other names that are tried alone before the problem counts as ours, unless a search is told to try more.
CONTROLS = 3

#: What has answered before is asked so often again before its failures count.
_LAPSES = 3


@dataclass(slots=True)
class Narrowing:
    """One search. Request `next()`, report `answered()` or `refused(…)`, until `done`.

    `blamed` maps each name that fails alone to the reason. `ours` is set when every request failed without a reason
    that names the subreddit. Neither: each part answers, so only the combination fails.
    """

    names: Sequence[str]
    #: whether other requests of this process succeed meanwhile: then a failure is never ours
    others_answer: bool = False
    #: other names that are tried alone before the problem counts as ours
    controls: int = CONTROLS
    blamed: dict[str, str] = field(default_factory=dict)
    #: those of them for which Reddit gave a reason of its own
    named: set[str] = field(default_factory=set)
    ours: bool = False
    reason: str = ""
    #: whether a name was answered alone only when asked for less
    size_matters: bool = False
    _queue: "deque[tuple[str, ...]]" = field(default_factory=deque)
    #: names that failed alone since the last answer, with the reasons
    _suspects: dict[str, str] = field(default_factory=dict)
    #: the last names that were answered
    _good: tuple[str, ...] = ()
    #: failed requests for `_good` in a row
    _lapses: int = 0
    _tried_alone: int = 0

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
        names = self._queue.popleft()
        if self._good:
            self.blamed |= self._suspects
        else:  # what failed before anything had answered may have failed with everything else: it gets another try
            self._queue.extendleft((name,) for name in reversed(self._suspects))
        self._suspects.clear()
        self._good, self._lapses = names, 0

    def refused(self, reason: str, *, named: bool = False) -> None:
        """Report that the request failed; `named`: Reddit gave a reason that is about the subreddit."""
        names = self._queue.popleft()
        self.reason = reason
        if names == self._good:
            self._lapsed()
        elif len(names) > 1:
            self._queue.extendleft(reversed(_halves(names)))
        elif named or (self.others_answer and not self._good):
            self.blamed[names[0]] = reason
            self.named |= {names[0]} if named else set()
        elif self._good:
            self._suspects[names[0]] = reason
        else:
            self._suspects[names[0]] = reason
            self._tried_alone += 1
            self._try_another()
        if self._good and self._suspects and (not self._queue or len(self._suspects) >= CONTROLS):
            self._ask_the_good_again()

    def _ask_the_good_again(self) -> None:
        if not self._queue or self._queue[0] != self._good:
            self._queue.appendleft(self._good)

    def _lapsed(self) -> None:
        """Conclude, when this comes again, that everything is refused since a moment in this search."""
        self._lapses += 1
        if self._lapses >= _LAPSES:
            self._suspects.clear()
            self._queue.clear()
            self.ours = not self.blamed

    def _try_another(self) -> None:
        """Go on with a single name of another part, or conclude that the problem is ours."""
        if self._tried_alone > self.controls or not self._queue:
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
