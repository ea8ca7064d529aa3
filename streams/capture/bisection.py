"""The bisection: finds the subreddits that make a combined request fail, one request at a time. Pure.

A failure proves something about a name only if a request without that name succeeds before it and after it. So the
search first narrows down to one name, then tries a few others alone; if none of them answers, the problem is ours
(account, network, Reddit as a whole), and no name is set aside. After a first answer, a name that fails is blamed as
soon as something that answered before has answered again.

If several names are bad, halving a large part only fails again. So the share of bad names found so far determines into
how many pieces a part is split, and large parts come before small ones: they may clear many names.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Other names that are tried alone before the problem counts as ours, unless a search sets a higher number.
CONTROLS = 5

#: After this number of names that failed alone, the names that answered are retried: everything may be failing.
_SUSPECTS = 3

#: Retries of the names that answered before their failures count.
_RETESTS = 3

#: Minimum number of known bad names before their share determines the split.
_MIN_BAD_KNOWN = 4

#: A piece is sized to hold about this number of bad names: then its answer is most informative.
_BAD_IN_A_PIECE = 0.7


@dataclass(slots=True)
class Bisection:
    """One search. Request `next()`, report `answered()` or `refused(…)`, until `done`.

    `blamed` maps each name that fails alone to the reason, `cleared` holds the answered names: both grow during the
    search. `ours` is set when every request failed without a reason that names the subreddit. Neither blamed nor ours:
    each part was answered, so only the combination fails.
    """

    names: Sequence[str]
    #: whether other requests of this process succeed meanwhile: then the problem is never ours
    others_answer: bool = False
    #: other names that are tried alone before the problem counts as ours
    controls: int = CONTROLS
    #: the yield of each name: of parts of equal size, the one with the greatest weight comes first
    weights: Mapping[str, float] = field(default_factory=dict)
    blamed: dict[str, str] = field(default_factory=dict)
    #: the blamed names for which Reddit gave a reason of its own
    named: set[str] = field(default_factory=set)
    #: names that were answered, alone or with others
    cleared: set[str] = field(default_factory=set)
    ours: bool = False
    #: whether all names that are not blamed were finally answered together
    recovered: bool = False
    reason: str = ""
    #: whether a name was answered alone only with a smaller page
    size_matters: bool = False
    _queue: "deque[tuple[str, ...]]" = field(default_factory=deque)
    #: names that failed alone since the last answer, with the reasons
    _suspects: dict[str, str] = field(default_factory=dict)
    #: the last names that were answered
    _last_answered: tuple[str, ...] = ()
    #: consecutive failed requests for `_last_answered`
    _failed_retests: int = 0
    _tried_alone: int = 0
    #: all names that are not blamed, while they are requested together
    _all_names: tuple[str, ...] = ()
    #: how often a single name was moved behind the others
    _postponed: Counter[str] = field(default_factory=Counter)

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

    def separate(self, suspects: Sequence[str]) -> None:
        """Request the names that are probably bad alone, after the others; only before the first request."""
        bad = set(suspects)
        good = tuple(name for name in self.names if name not in bad)
        if bad and good:
            self._queue = deque([good, *((name,) for name in suspects)])

    @property
    def only_singles(self) -> bool:
        """Whether the good names are known, and each request left is for a single name."""
        return bool(self.cleared) and not self._all_names and all(len(part) == 1 for part in self._queue)

    def next(self) -> tuple[str, ...]:
        """Return the names to request together now."""
        return self._all_names or self._queue[0]

    def request_all(self) -> None:
        """Request next all names that are not blamed: the cause of the failure may be over."""
        if not self.done:
            self._all_names = tuple(name for name in self.names if name not in self.blamed)

    def postpone(self) -> bool:
        """Move the next single name behind the others if many are bad; return whether others come first."""
        if not self._last_answered or self._bad_share() is None:
            return False
        name = self._queue[0][0]
        self._postponed[name] += 1
        self._queue.rotate(-1)
        self._bring_largest_forward()
        return self._queue[0][0] != name

    def answered(self) -> None:
        """Report that the request succeeded: from now on, failures concern the names."""
        if self._all_names:
            self.cleared.update(self._all_names)
            self.recovered, self._all_names = True, ()
            self._suspects.clear()
            self._queue.clear()
            return
        names = self._queue.popleft()
        if self._last_answered:
            self._blame_suspects()
        else:  # a failure before the first answer may have had a common cause: the name is retried
            self._queue.extendleft((name,) for name in reversed(self._suspects))
            self._suspects.clear()
        self._last_answered, self._failed_retests = names, 0
        self.cleared.update(names)
        self._bring_largest_forward()

    def confirmed(self) -> None:
        """Report that another request for names of `cleared` was answered: the suspects failed between two answers."""
        if self._last_answered:
            self._blame_suspects()
            self._failed_retests = 0
            if self._queue and self._queue[0] == self._last_answered:
                self._queue.popleft()

    def retest_cleared(self) -> None:
        """Report that the names of `cleared` fail together: they are also searched."""
        names = tuple(name for name in self.names if name in self.cleared)
        self.cleared.clear()
        if names:
            self._queue.append(names)

    def _blame_suspects(self) -> None:
        self.blamed |= self._suspects
        self._suspects.clear()

    def refused(self, reason: str, *, named: bool = False) -> None:
        """Report that the request failed; `named`: Reddit gave a reason that concerns the subreddit."""
        if self._all_names:
            self._all_names = ()
            return
        names = self._queue.popleft()
        self.reason = reason
        if names == self._last_answered:
            self._retest_failed()
        elif len(names) > 1:
            self._queue.extendleft(reversed(self._pieces(names)))
        elif named or (self.others_answer and not self._last_answered):
            self.blamed[names[0]] = reason
            self.named |= {names[0]} if named else set()
        elif self._last_answered:
            self._suspects[names[0]] = reason
        else:
            self._suspects[names[0]] = reason
            self._tried_alone += 1
            self._try_another()
        self._bring_largest_forward()
        if self._last_answered and self._suspects and (not self._queue or len(self._suspects) >= _SUSPECTS):
            self._retest_last_answered()

    def _bad_share(self) -> float | None:
        """Return the share of bad names among the known ones, None while too few are known."""
        bad = len({*self.blamed, *self._suspects, *self._postponed} - self.cleared)
        return bad / (bad + len(self.cleared)) if bad >= _MIN_BAD_KNOWN else None

    def _pieces(self, names: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Split names of which at least one is bad."""
        share = self._bad_share()
        size = len(names) // 2 if share is None else min(len(names) // 2, max(1, int(_BAD_IN_A_PIECE / share)))
        if size == len(names) // 2:
            return _halves(names)
        return [names[start : start + size] for start in range(0, len(names), size)]

    def _bring_largest_forward(self) -> None:
        """Move the largest part to the front once something has answered and the share of bad names is known."""
        if (
            self._last_answered
            and self._queue
            and self._queue[0] != self._last_answered
            and self._bad_share() is not None
        ):
            place = max(range(len(self._queue)), key=lambda index: self._rank(self._queue[index]))
            part = self._queue[place]
            del self._queue[place]
            self._queue.appendleft(part)

    def _rank(self, part: tuple[str, ...]) -> tuple[int, int, float]:
        return len(part), -self._postponed[part[0]], max(self.weights.get(name, 0.0) for name in part)

    def _retest_last_answered(self) -> None:
        if not self._queue or self._queue[0] != self._last_answered:
            self._queue.appendleft(self._last_answered)

    def _retest_failed(self) -> None:
        """Count a lapse; after several, conclude that everything has been refused since some moment of this search."""
        self._failed_retests += 1
        if self._failed_retests >= _RETESTS:
            self._suspects.clear()
            self._queue.clear()
            self.ours = not self.blamed

    def _try_another(self) -> None:
        """Continue with a single name of another part, or conclude that the problem is ours."""
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
