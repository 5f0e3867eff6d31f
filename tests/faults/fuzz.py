"""Feed hostile inputs to what reads state files and journals, led by the coverage of the code.

Usage: uv run --group fuzz python -m tests.faults.fuzz [--inputs N]

Prints libFuzzer's lines, of which `cov` counts the edges that were reached, and how many inputs there were, how many of
them were runs, and each undocumented exception with the first input that raised it. Ends with 1 if there was one.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import traceback
from typing import Any, Final

from tests.faults import memory

LONGEST: Final = 8192  # bytes of an input


class Target:
    """What the fuzzer calls with every input.

    Args:
        checker: An `inputs.Checker`.
        inputs: How many there will be.
    """

    def __init__(self, checker: Any, inputs: int) -> None:  # noqa: ANN401  # imported only when it can be measured
        self._checker = checker
        self._inputs = self._left = inputs
        self._runs = 0
        self._crashes: dict[str, bytes] = {}
        self._begun = time.perf_counter()

    def __call__(self, data: bytes) -> None:
        """Check one input, and go on whatever comes out."""
        try:
            self._runs += self._checker.loads(data)
        except Exception:  # noqa: BLE001  # any is a bug
            self._crashes.setdefault("".join(traceback.format_exc().splitlines(keepends=True)[-3:]), data)
        self._left -= 1
        if not self._left:
            self._report()

    def _report(self) -> None:
        seconds = time.perf_counter() - self._begun
        for where, data in self._crashes.items():
            print(where, data)  # noqa: T201
        figures = f"{self._inputs:,} inputs, {self._runs:,} of them runs, {len(self._crashes)} crashes, {seconds:.0f} s"
        print(figures, flush=True)  # noqa: T201
        if self._crashes:
            os._exit(1)  # from within libFuzzer there is no other way


def quoted(token: bytes) -> str:
    """Write a line of libFuzzer's dictionary; a word has at most 64 bytes there."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in token[:64]) + '"\n'


def main() -> None:
    """Fuzz; this does not return."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    inputs = parser.parse_args().inputs

    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["releasekit"]):
        made = importlib.import_module("tests.faults.inputs")
    with memory.directory() as scratch, made.in_haste():
        corpus, files, words = scratch / "corpus", scratch / "files", scratch / "words"
        corpus.mkdir()
        files.mkdir()
        for number, seed in enumerate(made.seeds()):
            (corpus / str(number)).write_bytes(seed)
        words.write_text("".join(map(quoted, made.TOKENS)))
        options = [f"-runs={inputs}", f"-max_len={LONGEST}", "-seed=1", f"-dict={words}", str(corpus)]
        atheris.Setup([sys.argv[0], *options], Target(made.Checker(files), inputs))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
