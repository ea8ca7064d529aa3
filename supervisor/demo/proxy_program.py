"""A local HTTP proxy with a password: `python -m supervisor.demo.proxy_program`.

Port and `user:password` come on standard input, one line of JSON, so that `ps` shows no password.
"""

import ctypes
import json
import multiprocessing
import os
import signal
import sys
from tempfile import TemporaryDirectory

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main() -> None:
    """Serve until killed."""
    from proxy import Proxy  # noqa: PLC0415 - only for those who run it

    settings = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor
    # proxy.py works in processes of its own, which must not live on without it
    multiprocessing.set_start_method("fork", force=True)
    os.register_at_fork(after_in_child=_die_with_parent)
    with TemporaryDirectory(prefix="gapless-proxy-") as directory:
        options = ["--hostname", "127.0.0.1", "--port", str(settings["port"]), "--data-dir", directory]
        options += ["--num-acceptors", "1", "--num-workers", "1", "--log-level", "ERROR"]
        with Proxy(options, basic_auth=settings["account"]):
            signal.pause()


if __name__ == "__main__":
    main()
