"""The public API is typed as `api.py` says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

API = Path(__file__).with_name("api.py")
ROOT = Path(__file__).parents[2]


def mypy(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_public_api_is_typed_as_its_users_use_it(tmp_path: Path) -> None:
    done = mypy("--cache-dir", tmp_path, API)
    assert done.returncode == 0, done.stdout + done.stderr
