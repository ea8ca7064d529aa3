"""The process of one stream: opens what it needs and captures until it is asked to stop."""

from core.child import ChildContext
from core.config import Config
from core.limiter import Limiter
from core.spool import SpoolWriter
from streams.capture.capture import Capture
from streams.capture.coverage import Coverage
from streams.capture.fetcher import Fetcher
from streams.capture.gateway import Gateway


def run(context: ChildContext, config: Config, stream: str) -> None:
    """Capture `stream` ("submissions" or "comments") into its spool.

    Raises CredentialsRejected (permanent), and SpoolBroken when the file must be moved aside by a new start.
    """
    state_dir = config.supervisor.state_dir
    subreddits = config.reddit.subreddits
    with SpoolWriter(state_dir, stream) as writer:
        coverage = Coverage(writer, stream, subreddits)
        limiter = Limiter(state_dir, stream, config.reddit.requests_per_minute)
        context.log.info(
            "stream_opened",
            subreddits=list(subreddits),
            captured_before=writer.counters().get("captured", 0),
            gaps=sum(not gap.repaired for gap in coverage.gaps.values()),
            resuming=bool(coverage.proven_at),
        )
        fetcher = Fetcher(Gateway(config, context, limiter), context, stream)
        Capture(config, context, stream, coverage, fetcher, limiter).run()
        limiter.close()
