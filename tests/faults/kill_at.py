"""Run the real command line, and kill this very process with SIGKILL in the middle of it.

Usage: python kill_at.py STATUS SECONDS ARGUMENT...
Kills SECONDS after a package's STATUS has become durable.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from releasekit import PackageStatus, RunStore
from releasekit.cli import main

status, seconds = PackageStatus(sys.argv[1]), float(sys.argv[2])
acommit = RunStore.acommit


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def acommit_and_die(store: RunStore) -> None:
    await acommit(store)
    if any(package.status is status for package in store.state.packages.values()):
        if seconds:
            threading.Timer(seconds, kill).start()
        else:
            kill()


RunStore.acommit = acommit_and_die  # type: ignore[assignment]
sys.argv[1:] = sys.argv[3:]
sys.exit(main())
