"""`python -m releasekit` is `releasekit`."""

import sys

from releasekit.cli import main

if __name__ == "__main__":
    sys.exit(main())
