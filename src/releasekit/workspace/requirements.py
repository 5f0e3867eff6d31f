"""What one member asks for, as it stands in its pyproject.toml: at run time, for extras, in groups, to be built.

Only names and extras are kept. A marker leaves a requirement what it is, since it ends up in the package's metadata all
the same, except one that asks for an extra: then it is a requirement of that extra, wherever it is written.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from releasekit.workspace.pyproject import InvalidWorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from releasekit.workspace.discover import Member

_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_EXTRA: Final = re.compile(r"\bextras?\b")
_FOR_EXTRA: Final = re.compile(r"""\bextra\s*==\s*["']([^"']*)["']|["']([^"']*)["']\s*(?:==\s*extra|in\s+extras)\b""")
_DEV: Final = "dev"
"""The group that `tool.uv.dev-dependencies` are of, for uv."""

canonical: Final = lru_cache(maxsize=65_536)(canonicalize_name)
"""`canonicalize_name`, for names that come again and again."""


class Wanted(NamedTuple):
    """What a requirement asks for; names are canonical.

    Attributes:
        name: The package.
        extras: Its extras.
    """

    name: str
    extras: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a member asks for.

    Attributes:
        runtime: At run time.
        extras: Extra → what it asks for besides.
        groups: Group → what it asks for, without what it includes of other groups.
    """

    runtime: tuple[Wanted, ...] = ()
    extras: Mapping[str, tuple[Wanted, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[Wanted, ...]] = field(default_factory=dict)


def read_requirements(member: Member) -> Requirements:
    """Read what a member asks for in its pyproject.toml.

    Raises:
        InvalidWorkspaceError: Something there is no requirement.
    """
    project, content = member.project, member.content
    extras: defaultdict[str, list[Wanted]] = defaultdict(list)
    runtime = sort_out(_parsed(member.path, "project.dependencies", project.dependencies), extras)
    for extra, lines in project.optional_dependencies.items():
        parsed = _parsed(member.path, f"project.optional-dependencies.{extra}", lines)
        extras[canonical(extra)] += (wanted for wanted, _ in parsed)
    groups: defaultdict[str, list[Wanted]] = defaultdict(list)
    for group, entries in content.dependency_groups.items():
        texts = [entry for entry in entries if isinstance(entry, str)]
        groups[canonical(group)] += (w for w, _ in _parsed(member.path, f"dependency-groups.{group}", texts))
    if content.tool.uv.dev_dependencies:
        parsed = _parsed(member.path, "tool.uv.dev-dependencies", content.tool.uv.dev_dependencies)
        groups[_DEV] += (wanted for wanted, _ in parsed)
    return Requirements(runtime, _fixed(extras), _fixed(groups))


def read_build_requirements(member: Member) -> tuple[Wanted, ...]:
    """Read what a member asks for to be built: `build-system.requires`, which no backend can take back.

    Raises:
        InvalidWorkspaceError: Something there is no requirement.
    """
    system = member.content.build_system
    return tuple(w for w, _ in _parsed(member.path, "build-system.requires", system.requires)) if system else ()


def sort_out(
    parsed: Iterable[tuple[Wanted, tuple[str, ...] | None]], extras: Mapping[str, list[Wanted]]
) -> tuple[Wanted, ...]:
    """Part what is always asked for from what an extra asks for.

    Args:
        parsed: What is asked for, each with `extras_of` its marker.
        extras: Extra → what it asks for; what is found is added there.

    Returns:
        What is always asked for.
    """
    runtime = []
    for wanted, only_for in parsed:
        if only_for is None:
            runtime.append(wanted)
        for extra in only_for or ():
            extras[extra].append(wanted)
    return tuple(runtime)


def extras_of(marker: str) -> tuple[str, ...] | None:
    """Name the extras that a marker asks for; one without a name where it can't be told; None if it asks for none."""
    if "extra" not in marker or not _EXTRA.search(_QUOTED.sub("", marker)):
        return None
    named = [canonical(one or other) for one, other in _FOR_EXTRA.findall(marker)]
    return tuple(named) or ("",)


def _fixed(lists: Mapping[str, list[Wanted]]) -> dict[str, tuple[Wanted, ...]]:
    return {name: tuple(wanted) for name, wanted in lists.items()}


def _parsed(path: Path, place: str, lines: Iterable[str]) -> list[tuple[Wanted, tuple[str, ...] | None]]:
    parsed = []
    for position, line in enumerate(lines):
        try:
            parsed.append(_parse(line))
        except InvalidRequirement as error:
            problem = f"is {line!r:.200}, no requirement: {str(error).partition(chr(10))[0]}"
            raise InvalidWorkspaceError(path, f"{place}[{position}]", problem) from None
    return parsed


@lru_cache(maxsize=65_536)  # members of one workspace tend to require the same things
def _parse(line: str) -> tuple[Wanted, tuple[str, ...] | None]:
    requirement = Requirement(line)
    extras = tuple(sorted(map(canonicalize_name, requirement.extras)))
    return Wanted(canonicalize_name(requirement.name), extras), extras_of(str(requirement.marker or ""))
