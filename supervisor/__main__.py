"""`python -m supervisor`. Spawned children import this module too, so it must stay light until it is called."""

import sys

if __name__ == "__main__":
    from supervisor.cli import main

    sys.exit(main())
