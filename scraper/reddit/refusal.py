"""Answers that are not facts yet: refusals without a reason, and answers about something else."""

from core.errors import GaplessError, TransientError
from core.masking.external import outside
from core.reddit.request_errors import BadAnswer, NetworkBlocked, ServerTrouble, TokenRejected
from scraper.reddit.rows import SubredditState

_LONGEST_TEXT = 200
_LONGEST_TARGET = 100


class Unexplained(TransientError):
    """Reddit, or something before it, refused without a reason that concerns the name.

    `state` is what it would mean if it were confirmed: later, and through another proxy where there is one. OPEN: an
    answer arrived, but it is empty where there should be something.
    `target` is the target of a redirect. `telling`: Reddit gives this answer for exactly this state (a redirect to
    another name, an age gate, 404), so the wait for the confirmation is short. `common`: deleted and suspended users
    are answered like this every day, so it does not count as an error.
    """

    def __init__(
        self,
        state: SubredditState,
        text: str,
        *,
        target: str | None = None,
        telling: bool = False,
        common: bool = False,
    ) -> None:
        super().__init__(text[:_LONGEST_TEXT])
        self.common = common
        self.state = state
        self.target = outside(target, _LONGEST_TARGET) if target is not None else None
        self.telling = telling


class Mismatch(BadAnswer):
    """An answer about another name, or of another kind: it is not used, and its connection is closed."""


class Unproven(TransientError):
    """An answer without a name that may be another's: it came before on its connection, or is of another kind.

    It is requested once more, on a separate connection.
    """

    def __init__(self) -> None:
        super().__init__("an answer without a name, which may belong to another request")


class PathLimited(ServerTrouble):
    """One address is answered 429 repeatedly while others are served: no other request has to wait."""

    def __init__(self) -> None:
        super().__init__("Reddit answers 429 to this request, and serves others")


def unexplained(error: GaplessError) -> Unexplained | None:
    """Return the refusal behind an error that may concern the requested name; None for any other error."""
    if isinstance(error, Unexplained):
        return error
    if isinstance(error, NetworkBlocked | TokenRejected):
        return Unexplained(SubredditState.FORBIDDEN, str(error))
    return None
