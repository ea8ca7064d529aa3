"""The command `gapless`, same as `python -m supervisor`. Spawned children import this module too: keep it light.

It is outside of `supervisor`, so that it also works where PyPI's package of that name is imported instead.
"""

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    from core.errors import ConfigError, ExitCode  # noqa: PLC0415
    from core.installation import require_own_environment  # noqa: PLC0415

    try:
        require_own_environment()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return ExitCode.BAD_USAGE
    from supervisor.__main__ import main as supervise  # noqa: PLC0415

    return supervise()


if __name__ == "__main__":
    sys.exit(main())
