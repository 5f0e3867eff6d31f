"""Many processes on one state file.

Usage: python -m tests.faults.crowd workers STATE_FILE PROCESSES TRANSITIONS
       python -m tests.faults.crowd contenders STATE_FILE PROCESSES DEATHS

Workers share the work: each waits for the lock, fires some transitions, lets go and waits again. Contenders are killed
while they hold the lock, by themselves or by their parent, until so many have been. That there is one holder at a
time is proved without our lock: by a link that only one can make, and that says which process has made it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

from tests.faults.forks import fork

from releasekit import E, ReleaseKitError, RunStore, Trigger
from releasekit.persistence.lock import LOCK_FILENAME

SHARED: Final = "shared"
ROUNDS: Final = 10  # of four transitions, for which a worker opens the run
SUICIDES: Final = 0.3  # of the contenders that hold the lock
MURDERS: Final = 0.3  # of the times that the parent looks
_PF_EXITING: Final = 4  # Linux, include/linux/sched.h: set before a process that dies lets go of its files


def work(path: Path, name: str, transitions: int) -> None:
    """Fire transitions at a package of one's own and at the shared one, each with a commit."""
    chances = Random(os.getpid())  # noqa: S311  # no secret
    for _ in range(transitions // 4 // ROUNDS):
        while not (store := try_to_open(path)):
            time.sleep(chances.uniform(0, 0.02))
        with store:
            for package in [store.state[name], store.state[SHARED]] * ROUNDS:
                package.start_building()
                store.commit()
                package.recover()
                store.commit()


def contend(path: Path, token: Path, reports: int) -> None:
    """Take the lock again and again, and die with it at times."""
    chances = Random(os.getpid())  # noqa: S311  # no secret
    while True:
        time.sleep(chances.uniform(0, 0.1))
        if store := try_to_open(path):
            found = take(token)
            inode = path.with_name(LOCK_FILENAME).stat().st_ino
            os.write(reports, f"{found} {inode}\n".encode())
            package = store.state[SHARED]
            package.recover() if package.may(Trigger.RECOVER) else package.start_building()
            store.commit()
            time.sleep(chances.uniform(0, 0.005))
            if chances.random() < SUICIDES:
                os.kill(os.getpid(), signal.SIGKILL)
            token.unlink()
            store.close()


def try_to_open(path: Path) -> RunStore | None:
    """Open a run, unless somebody has it open."""
    try:
        return RunStore.open(path)
    except ReleaseKitError as error:
        if error.code is not E.STATE_LOCKED:
            raise
        return None


def take(token: Path) -> str:
    """Make the link that only the one holder has; tell how it was found."""
    try:
        token.symlink_to(str(os.getpid()))
    except FileExistsError:
        pid = str(token.readlink())  # missing if another holder has just let go
        if lives(pid):
            return f"held-by-{pid}"
        token.unlink()
        token.symlink_to(str(os.getpid()))
        return "left"
    return "free"


def lives(pid: str) -> bool:
    """Tell whether a process may still have its files open."""
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"} and not int(numbers[5]) & _PF_EXITING


def run_workers(path: Path, processes: int, transitions: int) -> dict[str, int]:
    """Run the workers to their end; count how they ended."""
    for number in range(processes):
        fork(work, path, f"p{number}", transitions)
    return Counter(str(os.wait()[1]) for _ in range(processes))


def run_contenders(path: Path, processes: int, deaths: int) -> dict[str, int]:
    """Keep so many contenders at it until so many have died with the lock; count how the link was found, and inodes."""
    chances = Random(deaths)  # noqa: S311  # no secret
    token = path.with_name("token")
    receiving, sending = os.pipe()
    os.set_blocking(receiving, False)
    pids = {fork(contend, path, token, sending) for _ in range(processes)}
    shot: set[int] = set()
    counts: Counter[str] = Counter()
    inodes: Counter[str] = Counter()
    rest = b""
    try:
        while counts["left"] < deaths and not counts["failed"]:
            time.sleep(chances.uniform(0, 0.02))
            if chances.random() < MURDERS:
                shot |= kill_holder(token, pids)
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pids.remove(ended[0])
                pids.add(fork(contend, path, token, sending))
                counts["killed" if ended[1] == signal.SIGKILL else "failed"] += 1
            *lines, rest = (rest + read(receiving)).split(b"\n")
            for line in lines:
                found, inode = line.decode().split()
                counts[found] += 1
                inodes[inode] += 1
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return counts | {"killed by the parent": len(shot), "inodes": len(inodes)}


def kill_holder(token: Path, pids: set[int]) -> set[int]:
    """Kill who has the link, if that is one of these processes; give its id."""
    with contextlib.suppress(FileNotFoundError):
        pid = int(str(token.readlink()))
        if pid in pids:
            os.kill(pid, signal.SIGKILL)
            return {pid}
    return set()


def read(fd: int) -> bytes:
    """Read what there is."""
    try:
        return os.read(fd, 1 << 16)
    except BlockingIOError:
        return b""


if __name__ == "__main__":
    run = {"workers": run_workers, "contenders": run_contenders}[sys.argv[1]]
    print(json.dumps(run(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))  # noqa: T201  # for the test
