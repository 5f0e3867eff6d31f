"""Run the real command line with shorter waits, and broken if it is so wanted.

Usage: python hasty.py WAY ARGUMENT...
WAY is a name in `tests.faults.broken`, or empty.
"""

from __future__ import annotations

import asyncio
import faulthandler
import sys
from typing import Final
from unittest.mock import patch

from releasekit.cli import main

HANG: Final = 90.0  # seconds after which a release is taken to hang
HASTE: Final = 10  # times shorter than the command's own are its waits for the index: a campaign has many

sleep = asyncio.sleep
faulthandler.dump_traceback_later(HANG, exit=True)
patch("asyncio.sleep", lambda delay, *result: sleep(delay / HASTE, *result)).start()
way, *sys.argv[1:] = sys.argv[1:]
if way:
    from tests.faults import broken

    broken.WAYS[way]()
sys.exit(main())
