"""One request in progress: its question, its URL, and how the next attempt is sent."""

from dataclasses import dataclass

from core.errors import GaplessError
from core.reddit.request_errors import BadAnswer
from scraper.http.transport.session import Answer
from scraper.reddit.answer_check import Reply, check_answer, is_nameless
from scraper.reddit.payload import decode
from scraper.reddit.question import Question
from scraper.reddit.redirect import SameElsewhere
from scraper.reddit.refusal import Mismatch, Unexplained, Unproven


@dataclass(slots=True)
class Call:
    """A request; without a question any good answer is accepted."""

    path: str
    url: str
    question: Question | None = None
    apart: bool = False  #: on a separate connection

    def read(
        self, answer: Answer, error: GaplessError | None, *, with_token: bool
    ) -> tuple[object, GaplessError | None]:
        """Return the decoded answer, and its error; `error`: the error already known from the status and headers.

        When the answer belongs to another request, its connection is closed.
        """
        payload: object = None
        if error is None:
            try:
                payload = decode(answer.body, self.question)
            except BadAnswer as cut_off:
                return None, _bare(cut_off)
        if self.question is None:
            return payload, error
        reply = Reply(self.url, answer.status, answer.headers, with_token)
        error = check_answer(self.question, reply, payload, error)
        # an empty listing instead of facts is most often another request's answer
        is_odd = answer.status == 200 and isinstance(error, Unexplained) and not self.apart
        if is_odd or (answer.repeated and is_nameless(self.question, payload, error)):
            error = Unproven()
        if isinstance(error, Mismatch | Unproven) or (answer.status == 200 and error is not None):
            answer.discard()
        return (payload if error is None else None), error

    def after(self, error: GaplessError) -> None:
        """Adapt the next attempt to this error."""
        if isinstance(error, Mismatch | Unproven):
            self.apart = True
        elif isinstance(error, SameElsewhere):
            self.url = error.url


def _bare(error: BadAnswer) -> BadAnswer:
    """Return the error without its cause: its frames, and the parser's own error, would keep the body in memory."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
