"""Publish the packages of a monorepo, each once, in dependency order, and survive every crash.

These are the public names. They are imported when first used: the command line needs few of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from releasekit.errors import E, ReleaseKitError
    from releasekit.lifecycle import IllegalTransitionError, PackageStatus, Trigger
    from releasekit.state import STATE_FILENAME, PackageState, RunState
    from releasekit.store import RunStore

__all__ = [
    "STATE_FILENAME",
    "E",
    "IllegalTransitionError",
    "PackageState",
    "PackageStatus",
    "ReleaseKitError",
    "RunState",
    "RunStore",
    "Trigger",
]

_HOMES = {
    "E": "errors",
    "IllegalTransitionError": "lifecycle",
    "PackageState": "state",
    "PackageStatus": "lifecycle",
    "ReleaseKitError": "errors",
    "RunState": "state",
    "RunStore": "store",
    "STATE_FILENAME": "state",
    "Trigger": "lifecycle",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any of the above
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
