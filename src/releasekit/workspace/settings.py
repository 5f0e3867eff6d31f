"""What holds for each package of a release, and where it was said: a layer over another, the last one wins.

The layers are, from the last to the first: the command line, which speaks of every package; the package's own
`[tool.releasekit]`; the root's, which speaks of every package too; and the defaults here. `tool_table` reads the
tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Values = Mapping[str, Any]
    """Key of the table → its value, checked; the keys of the table `steps` begin with ``steps.``."""

STEPS: Final = "steps"
VERIFY: Final = f"{STEPS}.verify"


class Seconds(NamedTuple):
    """A key that takes seconds.

    Attributes:
        default: What holds if nobody says anything.
        least: The least that it may be.
        text: What it is, for people.
    """

    default: float
    least: float
    text: str


SECONDS: Final[Mapping[str, Seconds]] = MappingProxyType(
    {
        # a package with compiled extensions may take a quarter of an hour
        "build-timeout": Seconds(1_800.0, 0.1, "How long one build may take."),
        # uv itself gives one file as long
        "upload-timeout": Seconds(900.0, 0.1, "How long one upload may take."),
        # single nodes of a large index have been seen stale for ten minutes
        "verify-timeout": Seconds(900.0, 0.1, "How long the index may take to show a file."),
        "retry-budget": Seconds(300.0, 0.0, "How long a package is tried again for what may pass."),
    }
)

ALLOW_DIRTY: Final = "allow-dirty"
EXCLUDE: Final = "exclude"
FOR_EVERY_PACKAGE: Final = (*SECONDS, ALLOW_DIRTY)
"""The keys that the command line has too, and there speak of every package."""

DEFAULT: Final = "default"
COMMAND_LINE: Final = "command line"


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
    """What holds for one package.

    Attributes:
        build_timeout: Seconds that one build of it may take.
        upload_timeout: Seconds that one upload of it may take.
        verify_timeout: Seconds that the index may take to show what was sent of it.
        retry_budget: Seconds that its transient errors may take.
        allow_dirty: Whether it is released with uncommitted changes too.
        exclude: Whether it is left out.
        commands: Programs that do its steps.
        sources: Where each that is not the default was said, by its key.
    """

    build_timeout: float = SECONDS["build-timeout"].default
    upload_timeout: float = SECONDS["upload-timeout"].default
    verify_timeout: float = SECONDS["verify-timeout"].default
    retry_budget: float = SECONDS["retry-budget"].default
    allow_dirty: bool = False
    exclude: bool = False
    commands: Commands = field(default_factory=Commands)
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def overlaid(self, values: Values, source: str) -> Settings:
        """Put a layer over these settings: what it says holds, whatever they say.

        Args:
            values: What it says, as `tool_table` has checked it.
            source: What to call it.
        """
        if not values:
            return self
        commands = {key.partition(".")[2]: value for key, value in values.items() if "." in key}
        return replace(
            self,
            commands=replace(self.commands, **commands),
            sources=MappingProxyType({**self.sources, **dict.fromkeys(values, source)}),
            **{attribute(key): value for key, value in values.items() if "." not in key},
        )

    def underlaid(self, values: Values, source: str) -> Settings:
        """Put a layer under these settings: of it holds only what they do not say."""
        return self.overlaid({key: value for key, value in values.items() if key not in self.sources}, source)

    def told(self) -> Iterator[tuple[str, Any, str]]:
        """Tell every key with its value and where that was said."""
        for key in (*SECONDS, ALLOW_DIRTY, EXCLUDE):
            yield key, getattr(self, attribute(key)), self.sources.get(key, DEFAULT)
        for step in Commands.__dataclass_fields__:
            key = f"{STEPS}.{step}"
            yield key, getattr(self.commands, step), self.sources.get(key, DEFAULT)


def attribute(key: str) -> str:
    """Tell which attribute has a key's value."""
    return key.replace("-", "_")
