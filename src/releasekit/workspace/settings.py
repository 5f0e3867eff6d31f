"""What a package's `[tool.releasekit]` says of it: how long its steps may take, and which commands do them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Commands:
    """Programs that do a package's steps, each with its arguments; an empty one leaves the step as it is.

    Attributes:
        build: Makes its files.
        publish: Sends them.
        verify: Tells whether they are there.
    """

    build: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a package says of itself; what it does not say holds as for every other.

    Attributes:
        commands: Programs that do its steps.
    """

    commands: Commands = field(default_factory=Commands)
