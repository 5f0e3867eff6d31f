"""The command line: parse, call, exit code. A file a command; none decides anything about a release.

A command's module is imported when it is called, so that `--help` and `status` start quickly.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from releasekit import logging
from releasekit.errors import E, ReleaseKitError
from releasekit.escape import printable
from releasekit.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from releasekit.cli.stop import Stop

INTERRUPTED: Final = 130
_COLOUR: Final = False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None  # None: a terminal
COMMANDS: Final = {
    "publish": "Publish every package that is not published yet, or go on with that.",
    "plan": "Show what would be published, in which order, and what is skipped.",
    "status": "Show how far the run is.",
    "history": "Show what happened to the run, and how long it took.",
    "retry": "Give failed packages another chance.",
    "skip": "Leave a waiting package out of the run.",
    "diagram": "Draw the run, one package's way through it, or the lifecycle.",
    "report": "Write a report of the run as one HTML file.",
    "demo": "Watch a real release being killed half-way and finished anyway.",
    "explain": "Explain an error code.",
    "clean": "Remove the files of a finished run.",
}


class _Commands(click.Group):
    """Imports a command when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        with ctx.obj.holding() if ctx.obj else nullcontext():
            command: click.Command = import_module(f"releasekit.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="releasekit")
def releasekit() -> None:
    """Publish the packages of a monorepo, each once, in dependency order.

    A run that is killed, interrupted or refused goes on with the same command: what is published stays
    published, and what was built is sent as it was built. Start with `releasekit demo`.

    \b
    Exit codes of `publish`:
      0  everything is published or skipped
      1  failed before anything was published
      2  the command line is wrong
      3  partly published; the same command resumes
      4  a conflict that a person must decide
      130  interrupted; the same command resumes
    """  # noqa: D301  # click wants the character


def main(came: list[int] | None = None) -> int:
    """Run the command line, and turn every foreseen error into a message.

    It is the process's: what handles SIGINT and SIGTERM is its own, and when it returns they are ignored, since what
    it came to is settled.

    Args:
        came: The signals that have come already, if somebody has listened before.

    Returns:
        The exit code, as the group's help lists them.
    """
    from releasekit.cli.stop import Stop  # noqa: PLC0415  # it imports us

    stop = Stop(came)
    handlers = stop.listen()
    try:
        return _main(stop)
    except KeyboardInterrupt:  # while an error was told
        return INTERRUPTED
    finally:
        stop.settled = True
        stop.end(dict.fromkeys(handlers, signal.SIG_IGN))


def _main(stop: Stop) -> int:
    logging.expect("warning")
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may know ASCII only
    try:
        return _run(stop)
    except BrokenPipeError:
        _write_nowhere(sys.stderr)
        return 1


@contextmanager
def unless_gone(stream: TextIO) -> Iterator[None]:
    """Stop writing to a stream that takes no more, as when its reader has gone away or a disk is full.

    What is written later goes nowhere. That is a warning, but for a reader that has gone: it wanted no more.
    """
    try:
        yield
    except BrokenPipeError:
        _write_nowhere(stream)
    except (OSError, ValueError) as error:  # a ValueError, if it is closed
        _write_nowhere(stream)
        logging.get_logger(__name__).warning("releasekit.output_lost", stream=stream.name, error=str(error))


def _nowhere() -> TextIO:
    """Stand in for a stream that was closed when Python began, or the next file to be opened would be it."""
    return Path(os.devnull).open("w", encoding="utf-8")


def _write_nowhere(stream: TextIO) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):  # it is closed, and nothing can be written to it
        os.dup2(null, stream.fileno())
    os.close(null)


def _run(stop: Stop) -> int:
    try:
        stop.begin()
        code: int | None = releasekit.main(standalone_mode=False, color=_COLOUR, obj=stop)
    except ReleaseKitError as error:
        _complain(str(error))
        _document(error=redact(error.message), code=error.code, hint=error.hint)
        return 1
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _interrupted()
    except BrokenPipeError:  # an OSError, but not one to complain of: nobody reads
        raise
    except OSError as error:
        hint = "check the path, its permissions and the space on the disk"
        _complain(f"{error}\n  hint: {hint}")
        _document(error=redact(str(error)), code=E.FILE_FAILED, hint=hint)
        return 1
    return code or 0


def _interrupted() -> int:
    """Say that nothing came of it, and how to go on."""
    from releasekit.cli.stop import resume_command  # noqa: PLC0415  # it imports us

    error, resume = "interrupted; the same command goes on", resume_command()
    _complain(error)
    with unless_gone(sys.stderr):
        click.echo(resume, err=True)
    _document(error=error, code="", hint=resume, exit_code=INTERRUPTED)
    return INTERRUPTED


def _document(**error: object) -> None:
    """Print an error as a JSON document, if that is wanted and can be: what is told of an error is no other error."""
    if "--json" in sys.argv:
        from releasekit.cli.output import print_json  # noqa: PLC0415  # only on errors

        with unless_gone(sys.stdout):
            print_json(error)


def _show(error: click.ClickException) -> None:
    """Show what click says of a wrong command line, of which it quotes what it was given."""
    shown = StringIO()
    error.show(shown)
    with unless_gone(sys.stderr):
        click.echo(printable(redact(shown.getvalue())), nl=False, err=True)
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"`{context.command_path} --help` has what is right" if context else ""
    _document(error=redact(error.format_message()), code="", hint=hint)


def _complain(message: str) -> None:
    with unless_gone(sys.stderr):
        said = f"{click.style('error:', fg='red', bold=True)} {printable(redact(message))}"
        click.echo(said, err=True, color=_COLOUR)
