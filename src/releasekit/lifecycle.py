"""The law: which statuses a package can have, which triggers move it, and nothing else.

`TABLE` is the one source: the machine, the diagrams and `set_status` are made from it. This module does no I/O
and is the only one that imports `transitions`.

One machine serves every package: the packages are slotted models that are never registered with it, since a
registered model costs kilobytes and registering is quadratic in time.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from transitions import Event, Machine, MachineError

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class PackageStatus(StrEnum):
    """Where a package stands in its release."""

    PENDING = "pending"
    BUILDING = "building"
    PUBLISHING = "publishing"
    VERIFYING = "verifying"
    PUBLISHED = "published"
    SKIPPED = "skipped"
    FAILED = "failed"


class Trigger(StrEnum):
    """What can happen to a package; each value is also the name of a method of `PackageState`."""

    START_BUILDING = "start_building"
    RECORD_ARTIFACTS = "record_artifacts"
    START_PUBLISHING = "start_publishing"
    START_VERIFYING = "start_verifying"
    CONFIRM = "confirm"
    FAIL = "fail"
    SKIP = "skip"
    RETRY = "retry"
    RECOVER = "recover"


class Rule(NamedTuple):
    """One row of the table.

    Attributes:
        trigger: What happens.
        sources: The statuses it may happen in.
        target: The status it leads to; None for an internal transition, which stays where it is.
        carries: The package's field that the trigger's argument is stored in, if it takes one.
        clears: The package's field that is emptied.
        counts: The package's field that is increased by one.
        learns: The package's field that the trigger may carry besides, once: it is stored while it is empty.
    """

    trigger: Trigger
    sources: tuple[PackageStatus, ...]
    target: PackageStatus | None
    carries: str = ""
    clears: str = ""
    counts: str = ""
    learns: str = ""


IN_FLIGHT: Final = (PackageStatus.BUILDING, PackageStatus.PUBLISHING, PackageStatus.VERIFYING)
"""The statuses in which work is going on, which a crash interrupts."""

TABLE: Final = (
    Rule(Trigger.START_BUILDING, (PackageStatus.PENDING,), PackageStatus.BUILDING, counts="attempts"),
    Rule(Trigger.RECORD_ARTIFACTS, (PackageStatus.BUILDING,), None, carries="artifacts", learns="version"),
    Rule(Trigger.START_PUBLISHING, (PackageStatus.BUILDING,), PackageStatus.PUBLISHING),
    Rule(Trigger.START_VERIFYING, (PackageStatus.PUBLISHING,), PackageStatus.VERIFYING),
    Rule(Trigger.CONFIRM, (PackageStatus.VERIFYING,), PackageStatus.PUBLISHED, clears="error"),
    Rule(Trigger.FAIL, IN_FLIGHT, PackageStatus.FAILED, carries="error"),
    Rule(Trigger.SKIP, (PackageStatus.PENDING,), PackageStatus.SKIPPED, carries="reason"),
    Rule(Trigger.RETRY, (PackageStatus.FAILED,), PackageStatus.PENDING, clears="error"),
    Rule(Trigger.RECOVER, IN_FLIGHT, PackageStatus.PENDING, clears="error"),
)


def index_rules(table: Iterable[Rule]) -> Mapping[tuple[PackageStatus, Trigger], Rule]:
    """Index the table by where it starts: (status, trigger) -> the one rule for it.

    Raises:
        ValueError: Two rows give the same trigger in the same status.
    """
    rules: dict[tuple[PackageStatus, Trigger], Rule] = {}
    for rule in table:
        for source in rule.sources:
            if (source, rule.trigger) in rules:
                msg = f"two rules for {rule.trigger} in {source}"
                raise ValueError(msg)
            rules[source, rule.trigger] = rule
    return MappingProxyType(rules)


RULES: Final = index_rules(TABLE)
ALLOWED: Final[Mapping[PackageStatus, tuple[Trigger, ...]]] = MappingProxyType(
    {status: tuple(trigger for trigger in Trigger if (status, trigger) in RULES) for status in PackageStatus}
)
FINAL: Final = tuple(status for status in PackageStatus if not ALLOWED[status])
TERMINAL: Final = (*FINAL, PackageStatus.FAILED)
_BY_NAME: Final[Mapping[str, PackageStatus]] = PackageStatus.__members__
_PATHS: Final = {
    (source, target): trigger
    for source, target, trigger in product(PackageStatus, PackageStatus, Trigger)
    if (source, trigger) in RULES and RULES[source, trigger].target is target
}


class Model(Protocol):
    """What the machine moves: anything with a name and a status."""

    @property
    def name(self) -> str:
        """The package's name."""

    @property
    def status(self) -> PackageStatus:
        """Where it stands."""


class IllegalTransitionError(ReleaseKitError, MachineError):
    """A trigger was fired in a status that does not allow it; nothing was changed.

    Attributes:
        package: The package's name.
        status: Where it stands, and still does.
        trigger: What was asked for.
        allowed: What would have been legal.
    """

    def __init__(self, package: str, status: PackageStatus, trigger: Trigger, allowed: tuple[Trigger, ...]) -> None:
        super().__init__(
            E.STATE_ILLEGAL_TRANSITION,
            f"{package!r} is {status}, which does not allow {trigger}",
            f"allowed in {status}: {', '.join(allowed)}"
            if allowed
            else f"{status} is final: nothing is allowed any more",
        )
        self.args = (package, status, trigger, allowed)
        self.value = self.message  # MachineError's own attribute
        self.package = package
        self.status = status
        self.trigger = trigger
        self.allowed = allowed


class _BareEvent(Event):
    """An event without a queue and without the walks over callbacks that nobody registers: they took most of the time.

    It takes the one transition that `index_rules` lets a status have.
    """

    def trigger(self, model: Any, *_args: Any, **_options: Any) -> bool:  # noqa: ANN401  # as transitions has it
        transitions = self.transitions.get(model.status.name)
        if not transitions:
            raise MachineError(f"Can't trigger event {self.name} from state {model.status.name}!")
        target = transitions[0].dest
        if target:  # otherwise internal
            self.machine.set_state(target, model)
        return True


class _SharedMachine(Machine):
    """A machine that may move models which refuse plain assignment."""

    event_cls = _BareEvent

    def set_state(self, state: Any, model: Any = None) -> None:  # noqa: ANN401  # as transitions has it
        object.__setattr__(model, self.model_attribute, _BY_NAME[state])


def _machine_arguments() -> dict[str, Any]:
    return {
        "model": None,
        "states": PackageStatus,
        "initial": PackageStatus.PENDING,
        "auto_transitions": False,
        "model_attribute": "status",
        "transitions": [
            {"trigger": rule.trigger.value, "source": list(rule.sources), "dest": rule.target} for rule in TABLE
        ],
    }


# Its debug lines are formatted at every trigger and would say what our own event says.
logging.getLogger("transitions").setLevel(logging.WARNING)
_MACHINE: Final = _SharedMachine(**_machine_arguments())


def rule_for(model: Model, trigger: Trigger) -> Rule:
    """Find the rule for a trigger where a model stands.

    Raises:
        IllegalTransitionError: The model's status does not allow it.
    """
    rule = RULES.get((model.status, trigger))
    if rule is None:
        raise IllegalTransitionError(model.name, model.status, trigger, ALLOWED[model.status])
    return rule


def move(model: Model, trigger: Trigger) -> None:
    """Move a model by a trigger, which must be legal: ask `rule_for` first.

    Raises:
        transitions.MachineError: It is not; nothing was changed.
    """
    _MACHINE.events[trigger].trigger(model)


def trigger_towards(source: PackageStatus, target: PackageStatus) -> Trigger:
    """Name the trigger that leads to a status.

    Args:
        source: Where the package stands.
        target: Where it should go.

    Returns:
        The one trigger that leads from `source` to `target`; where there is none, one that leads to `target`
        from somewhere else, so that firing it raises the right error.
    """
    elsewhere = (trigger for (_, end), trigger in _PATHS.items() if end is target)
    return _PATHS.get((source, target)) or next(elsewhere)


def graph_machine(**options: Any) -> Any:  # noqa: ANN401  # transitions is untyped
    """Make a machine that can draw itself, from the same table.

    Args:
        options: What `transitions.extensions.GraphMachine` takes besides states and transitions.

    Returns:
        A `GraphMachine`. It is for pictures only: it moves nobody.
    """
    from transitions.extensions import GraphMachine  # noqa: PLC0415  # slow to import, and only for pictures

    # It draws its models, so unlike the shared machine it needs one: itself.
    return GraphMachine(**_machine_arguments() | {"model": GraphMachine.self_literal} | options)
