"""Logs: structlog on stderr, one event per fact, and no secret in any of them.

A library does not configure its user's logging: `get_logger` only names a logger, and the command line calls
`expect` or `configure`. structlog is imported when something is logged, since it takes longer to import than most
commands take to run.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from releasekit.escape import in_one_line, printable
from releasekit.imports import absent
from releasekit.redaction import redactor

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from structlog.typing import FilteringBoundLogger

_expected: Final[list[str]] = []
_NO_KEY: Final = re.compile(r"[\n =\"]")  # what ends a key in ``key=value``, or makes it quoted


def get_logger(name: str = "releasekit") -> FilteringBoundLogger:
    """Name a logger.

    Args:
        name: Usually the module's ``__name__``; every event carries it as ``module``.

    Returns:
        A structlog logger; how it prints is the application's choice.
    """
    _import_structlog()
    import structlog  # noqa: PLC0415  # slow

    if _expected and not structlog.is_configured():
        configure(level=_expected[0])
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


class _Harmless:
    """Makes every string of an event harmless, the keys too: redacts it, then escapes it.

    Not the other way round, since a secret is not found when it is escaped.
    """

    def __init__(self, escape: Callable[[str], str]) -> None:
        self._escape = escape
        self._redacted = redactor()

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, object]:
        def text(value: object) -> str:
            return self._escape(self._redacted(str(value)))

        return {_NO_KEY.sub(_escape_in_key, text(key)): _value(value, text) for key, value in event.items()}


def _value(value: object, text: Callable[[object], str]) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {text(key): _value(inner, text) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(inner, text) for inner in value]
    return text(value)


def _escape_in_key(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


class _Unbroken:
    """Standard error, whatever stands for it now: a live table puts itself there for a while.

    Loses what can't be written: nobody may be reading the log, and a release goes on without.
    """

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def expect(level: str) -> None:
    """Have `configure` called when something is logged first, which it seldom is.

    Args:
        level: The least level that is printed then.
    """
    _expected[:] = [level]


def configure(*, level: str = "info", json: bool = False) -> None:
    """Set structlog up for the command line: on stderr, redacted, and with nothing that steers a terminal.

    Args:
        level: The least level that is printed: debug, info, warning or error.
        json: One JSON object a line, for machines; otherwise ``event key=value``.
    """
    _import_structlog()
    import structlog  # noqa: PLC0415  # slow

    renderer = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True)
    )
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _drop_module,
            _Harmless(printable if json else in_one_line),  # JSON has its own escape for a newline
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_Unbroken()),  # type: ignore[arg-type]  # all it needs
        cache_logger_on_first_use=False,
    )


def _import_structlog() -> None:
    """Import it, in our own process without rich, which only draws tracebacks for it, and takes half the time.

    Only once: who logs in a thread is not to have rich missing for who just imports it in another.
    """
    with absent("rich") if _expected and "structlog" not in sys.modules else contextlib.nullcontext():
        import structlog  # noqa: F401, PLC0415  # slow


def _drop_module(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("module", None)
    return event
