"""The program `python -m supervisor`. Spawned children import this module too: it stays light until `main` runs."""

import sys

_BAD_USAGE = 2  # ExitCode.BAD_USAGE, which cannot be imported where packages are missing
_OURS = ("core", "streams", "scraper", "supervisor", "simulator")


def main() -> int:
    """Run the command line; return the exit code. Print a hint if this Python cannot run it."""
    import signal  # noqa: PLC0415

    # A signal that arrives during the imports stays pending until there is a handler for it (see
    # supervisor.processes.control_inbox): by default it would kill the process in the middle of an import, and process
    # 1 of a container would ignore it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    if sys.version_info < (3, 11):  # noqa: UP036 - a user with an older Python gets a message, no traceback
        return _refuse("it needs Python 3.11 or newer, and {python} is {version}.")
    try:
        from core.errors import ConfigError  # noqa: PLC0415
        from core.installation import require_own_environment  # noqa: PLC0415

        try:
            require_own_environment()
        except ConfigError as error:
            print(error, file=sys.stderr)
            return _BAD_USAGE
        from supervisor.cli import main as cli  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing in _OURS:
            raise
        return _refuse(f"the package {missing} is not installed for {{python}}.")
    return cli.main()


def _refuse(text: str) -> int:
    shown = text.format(python=sys.executable, version=".".join(map(str, sys.version_info[:3])))
    advice = "In the clone, run `make install` once, and `. .venv/bin/activate` in each terminal."
    print(f"Gapless cannot start: {shown}\n{advice}", file=sys.stderr)
    return _BAD_USAGE


if __name__ == "__main__":
    sys.exit(main())
