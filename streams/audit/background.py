"""The background audit: a thread in the process of a stream that sends at most one request a minute.

It has a client of its own, so that a poll never waits for one of its answers; its requests have the lowest priority.
"""

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable

from core.child import ChildContext
from core.config.slices import StreamConfig
from core.errors import TransientError
from core.reddit.limiter import Limiter
from core.reddit.quota import Priority
from core.reddit.request_errors import CredentialsRejected, QuotaShort, Stopped
from streams.audit.runner import AuditRunner
from streams.reddit.praw_client import PrawClient

#: Seconds between two requests of the audit of one stream.
EVERY_S = 60.0

#: Seconds to the first request: the streams of an installation start together.
_FIRST_S = (20.0, 60.0)

#: Seconds until the file of the observations is opened: the stream's first requests come before.
_BEGIN_S = 2.0

#: Until the first request, the subreddits that are captured are noted this often, seconds.
_NOTE_EVERY_S = 5.0

#: Observations beyond the limits are deleted after this number of requests.
_PRUNE_EVERY = 60


#: Sends one request (path, parameters) and returns the decoded answer.
Get = Callable[[str, dict[str, str | int]], object]


def start_background_audit(context: ChildContext, config: StreamConfig) -> threading.Thread:
    """Start the thread; it ends with the process, or at a stop."""
    thread = threading.Thread(target=_run, args=(context, config), name="audit", daemon=True)
    thread.start()
    return thread


def _run(context: ChildContext, config: StreamConfig) -> None:
    client: list[Get] = []

    def get(path: str, params: dict[str, str | int]) -> object:
        if not client:
            client.append(open_client(context, config, config.stream))
        return client[0](path, params)

    runner, pause = None, _BEGIN_S
    while runner is None:
        if context.stop.wait(pause):
            return
        pause = EVERY_S
        try:
            runner = AuditRunner(config, get, context.log)
        except (sqlite3.Error, OSError) as error:
            context.log.info("audit_delayed", stream=config.stream, error=str(error))
    first = time.monotonic() + random.uniform(*_FIRST_S)  # noqa: S311 (a pause)
    while time.monotonic() < first and not context.stop.is_set():
        with contextlib.suppress(sqlite3.Error, OSError):  # the first step reports it
            runner.scope()  # notes since when each subreddit is captured
        context.stop.wait(_NOTE_EVERY_S)
    run_background(runner, context)
    runner.close()


def open_client(context: ChildContext, config: StreamConfig, process: str) -> Get:
    """Return a function that sends one request, with the lowest priority, through a client of its own.

    Args:
        context: its stop ends a request in progress; heartbeats are the working loop's.
        config: the access and the shared quota.
        process: the name under which the requests are counted.
    """
    own = ChildContext(context.name, context.log)
    own.stop = context.stop
    limiter = Limiter(config.state_dir, process, config.requests_per_minute, crawls=False)
    client = PrawClient(config.access, own, limiter, is_second=True)
    return lambda path, params: client.get(path, params, Priority.SCRAPER)


def run_background(runner: AuditRunner, context: ChildContext, *, every: float = EVERY_S) -> None:
    """Send a request each `every` seconds, as the quota allows, until a stop is requested."""
    steps = 0
    while not context.stop.is_set():
        try:
            runner.step()
            steps += 1
            if steps % _PRUNE_EVERY == 0 and (deleted := runner.store.prune()):
                context.log.info("audit_observations_deleted", stream=runner.config.stream, count=deleted)
        except Stopped:
            return
        except QuotaShort as error:
            context.log.debug("audit_waits", error=str(error))
        except (TransientError, CredentialsRejected, sqlite3.Error, OSError) as error:
            context.log.info("audit_delayed", stream=runner.config.stream, error=str(error))
            with contextlib.suppress(sqlite3.Error, OSError):  # the next step reports it
                runner.renew(error)
        except Exception:
            # the audit must not end because of one answer, and capture must not end because of the audit
            context.log.exception("audit_step_failed")
        context.stop.wait(every)
