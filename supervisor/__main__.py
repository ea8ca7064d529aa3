"""`python -m supervisor`. Spawned children import this module too, so it must stay light until it is called."""

import sys

if __name__ == "__main__":
    import signal

    # What is asked while the rest is imported waits until somebody can act on it (see supervisor.bell): it would end us
    # in the middle of an import, and process 1 of a container would never hear of it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

    from supervisor.cli import main

    sys.exit(main())
