from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support import dies, is_alive

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import process
from releasekit.redaction import REDACTED

TIMEOUT = 60.0  # seconds


def run(script: str, *arguments: str, cwd: Path = Path(), **environ: str | None) -> str:
    return asyncio.run(
        process.run([sys.executable, "-c", script, *arguments], cwd=cwd, environ=environ, timeout=TIMEOUT)
    )


def test_both_outputs_come_back_in_their_order() -> None:
    assert run("import os; os.write(1, b'one\\n'); os.write(2, b'two\\n')") == "one\ntwo"


def test_a_failing_program_says_how_and_why() -> None:
    with pytest.raises(process.CommandError) as caught:
        run("import sys; sys.exit('no compiler')")

    assert caught.value.returncode == 1
    assert caught.value.output == "no compiler"


def test_a_program_that_kills_itself_failed_by_a_signal() -> None:
    with pytest.raises(process.CommandError) as caught:
        run("import os; os.kill(os.getpid(), 9)")

    assert caught.value.returncode == -9


@pytest.mark.parametrize("directory", ["", "gone"])
def test_a_program_that_is_not_there_is_a_failing_program(tmp_path: Path, directory: str) -> None:
    with pytest.raises(process.CommandError, match="could not be run"):
        asyncio.run(process.run([str(tmp_path / "uv")], cwd=tmp_path / directory, environ={}, timeout=TIMEOUT))


def test_no_shell_looks_at_the_arguments() -> None:
    hostile = "$(echo x); `id` && * | ~ \n 'quoted'"

    assert run("import sys; print(sys.argv[1])", hostile) == hostile


def test_there_is_no_input_to_wait_for() -> None:
    assert run("import sys; print(repr(sys.stdin.read()))") == "''"


def test_variables_are_added_and_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELEASEKIT_KEPT", "kept")
    monkeypatch.setenv("RELEASEKIT_GONE", "gone")
    script = "import os; print(os.getcwd(), *(os.environ.get('RELEASEKIT_' + n) for n in ('KEPT', 'GONE', 'NEW')))"

    assert run(script, cwd=tmp_path, RELEASEKIT_GONE=None, RELEASEKIT_NEW="new") == f"{tmp_path} kept None new"


def test_only_the_end_of_a_flood_is_looked_at() -> None:
    flood = "import sys; sys.stdout.write('begin' + 'x' * 5_000_000 + 'the error')"

    output = run(flood)

    assert process.SHOWN_LIMIT < len(output) < process.READ_LIMIT
    assert output.endswith("xxx" + "the error")


def test_of_a_long_output_the_beginning_and_the_end_are_shown() -> None:
    with pytest.raises(process.CommandError) as caught:
        run("import sys; sys.exit('what: ' + 'x' * 20_000 + ' why')")

    assert len(caught.value.output) == 20_010
    assert caught.value.shown.startswith("what: xxx")
    assert caught.value.shown.endswith("xxx why")
    assert "\n[… 12010 characters left out …]\n" in caught.value.shown
    assert len(caught.value.shown) < process.SHOWN_LIMIT + 50
    assert process.shorten("x" * process.SHOWN_LIMIT) == "x" * process.SHOWN_LIMIT


def test_a_program_that_never_stops_printing_is_killed_before_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "OUTPUT_LIMIT", 1 << 20)

    with pytest.raises(process.CommandError, match="printed more than 1 MiB") as caught:
        run("import sys, time\nwhile sys.stdout.write('x' * 100_000): time.sleep(0.01)")

    assert caught.value.returncode == -9


def test_secrets_of_the_environment_are_blanked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PUBLISH_PASSWORD", "canary-password")
    script = "import os; print('with', os.environ['UV_PUBLISH_PASSWORD'], 'at http://user:hunter@host/')"

    assert run(script) == f"with {REDACTED} at http://{REDACTED}@host/"


def test_a_secret_on_the_edge_of_what_is_kept_is_not_shown_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "canary-" * 20)
    script = "import os, sys; sys.stdout.write(os.environ['UV_PUBLISH_TOKEN'] + 'x' * int(sys.argv[1]))"

    for kept in (20, 70, 120):
        assert "canary" not in run(script, str(process.READ_LIMIT - kept))


def test_bytes_that_are_no_text_come_back_escaped() -> None:
    assert run("import os; os.write(1, b'caf\\xe9')") == "caf\\xe9"


STUBBORN_FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the child inherits that
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
"""


async def family(file: Path) -> list[int]:
    while not file.exists():  # noqa: ASYNC110, ASYNC240  # another process makes it
        await asyncio.sleep(0.01)
    return [int(pid) for pid in file.read_text().split()]  # noqa: ASYNC240  # at once


def test_a_cancelled_program_dies_with_all_its_children(tmp_path: Path) -> None:
    async def cancel() -> list[int]:
        command = [sys.executable, "-c", STUBBORN_FAMILY + "time.sleep(600)", str(tmp_path / "pids")]
        task = asyncio.create_task(process.run(command, cwd=tmp_path, environ={}, timeout=TIMEOUT))
        pids = await family(tmp_path / "pids")
        assert all(map(is_alive, pids))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pids

    pids = asyncio.run(cancel())

    assert len(pids) == 2
    assert all(map(dies, pids))


def test_a_program_that_is_cancelled_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    """Asyncio kills the program alone then, and not what it has started already."""
    command = ["/bin/sh", "-c", f"echo $$ >> {tmp_path}/pids; sleep 600 & echo $! >> {tmp_path}/pids; wait"]
    starts = 0

    async def cancel(turns: int) -> None:
        nonlocal starts
        create = asyncio.create_subprocess_exec

        async def slowly(*arguments: str, **options: Any) -> asyncio.subprocess.Process:  # noqa: ANN401  # as it is
            nonlocal starts
            starts += 1
            child = await create(*arguments, **options)
            await asyncio.sleep(0.2)
            return child

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio, "create_subprocess_exec", slowly)
            task = asyncio.create_task(process.run(command, cwd=tmp_path, environ={}, timeout=TIMEOUT))
            for _ in range(turns):
                await asyncio.sleep(0.03)
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    for turns in (1, 3, 5):
        asyncio.run(cancel(turns))

    assert starts == 3
    assert all(dies(int(pid)) for pid in (tmp_path / "pids").read_text().split())


@pytest.mark.parametrize("status", [0, 1])
def test_what_a_program_leaves_running_neither_delays_nor_survives_it(tmp_path: Path, status: int) -> None:
    command = [sys.executable, "-c", f"{STUBBORN_FAMILY}sys.exit({status})", str(tmp_path / "pids")]
    try:
        asyncio.run(process.run(command, cwd=tmp_path, environ={}, timeout=TIMEOUT))
    except process.CommandError as error:
        assert error.returncode == status  # noqa: PT017  # it depends on the case
    else:
        assert status == 0

    parent, left = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert dies(parent)
    assert dies(left)


def test_uv_is_where_uv_run_says_else_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    assert process.find_uv() == str(program)

    monkeypatch.setenv("UV", "/elsewhere/uv")
    assert process.find_uv() == "/elsewhere/uv"


def test_no_uv_is_an_error_that_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)

    with pytest.raises(ReleaseKitError, match="pip install uv") as caught:
        process.find_uv()

    assert caught.value.code is E.UV_MISSING
