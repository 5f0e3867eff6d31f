"""`python -m releasekit` is `releasekit`; a signal that comes while it is still being imported is not lost."""

import signal
import sys


def run() -> int:
    """Run the command line; see `releasekit.cli.main`."""
    came: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: came.append(number))
    from releasekit.cli import main  # noqa: PLC0415  # takes a while

    return main(came)


if __name__ == "__main__":
    sys.exit(run())
