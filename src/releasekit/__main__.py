"""`python -m releasekit` is `releasekit`; a signal that comes while it is still being imported is not lost."""

import gc
import signal
import sys


def run() -> int:
    """Run the command line; see `releasekit.cli.main`."""
    came: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: came.append(number))
    from releasekit.cli import main  # noqa: PLC0415  # takes a while

    code = main(came)
    gc.freeze()  # Python would look through all that is left before the process ends, and so gives it back
    return code


if __name__ == "__main__":
    sys.exit(run())
