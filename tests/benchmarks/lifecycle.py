"""A trigger, against a dictionary look-up and the same machine made with other libraries.

Every machine has all seven statuses and nine triggers, counts attempts and clears the error, and is used by its
own trigger methods: `pending` → `building` → `pending`. Ours alone holds a lock, checks what the trigger carries
and tells listeners.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from automat import TypeMachineBuilder
from statemachine import State, StateMachine
from tests.benchmarks.measure import Result, seconds_a_call
from transitions import Machine

from releasekit.lifecycle import RULES, TABLE, PackageStatus, Trigger
from releasekit.state import PackageState

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER = 3000


class HasTriggers(Protocol):
    """What is measured of every machine."""

    @property
    def start_building(self) -> Callable[[], object]: ...
    @property
    def recover(self) -> Callable[[], object]: ...


class AutomatPackage(Protocol):
    """The triggers, as Automat wants them."""

    def start_building(self) -> None: ...
    def record_artifacts(self) -> None: ...
    def start_publishing(self) -> None: ...
    def start_verifying(self) -> None: ...
    def confirm(self) -> None: ...
    def fail(self) -> None: ...
    def skip(self) -> None: ...
    def retry(self) -> None: ...
    def recover(self) -> None: ...


@dataclass
class Fields:
    """What the other machines' triggers change."""

    attempts: int = 0
    error: str = "an old error"


def count(_package: AutomatPackage, fields: Fields) -> None:
    fields.attempts += 1


def clear(_package: AutomatPackage, fields: Fields) -> None:
    fields.error = ""


def nothing(_package: AutomatPackage, _fields: Fields) -> None:
    pass


def automat_machine() -> Callable[[Fields], AutomatPackage]:
    builder = TypeMachineBuilder(AutomatPackage, Fields)
    states = {status: builder.state(status.value) for status in PackageStatus}
    for rule in TABLE:
        effect = count if rule.counts else clear if rule.clears else nothing
        for source in rule.sources:
            trigger = getattr(AutomatPackage, rule.trigger)
            states[source].upon(trigger).to(states[rule.target or source])(effect)
    return builder.build()


class StateMachinePackage(StateMachine):
    """The machine, as python-statemachine wants it."""

    pending = State(initial=True)
    building = State()
    publishing = State()
    verifying = State()
    published = State(final=True)
    skipped = State(final=True)
    failed = State()

    start_building = pending.to(building)
    record_artifacts = building.to(building, internal=True)
    start_publishing = building.to(publishing)
    start_verifying = publishing.to(verifying)
    confirm = verifying.to(published)
    give_up = building.to(failed) | publishing.to(failed) | verifying.to(failed)
    skip = pending.to(skipped)
    retry = failed.to(pending)
    recover = building.to(pending) | publishing.to(pending) | verifying.to(pending)

    def __init__(self) -> None:
        self.fields = Fields()
        super().__init__()

    def on_start_building(self) -> None:
        self.fields.attempts += 1

    def on_recover(self) -> None:
        self.fields.error = ""


class TransitionsPackage(Fields):
    """A model, as the documentation of transitions has it."""

    start_building: Callable[[], bool]
    recover: Callable[[], bool]

    def count(self) -> None:
        self.attempts += 1

    def clear(self) -> None:
        self.error = ""


def transitions_package() -> TransitionsPackage:
    model = TransitionsPackage()
    machine = Machine(model, states=PackageStatus, initial=PackageStatus.PENDING, auto_transitions=False)
    for rule in TABLE:
        after = "count" if rule.counts else "clear" if rule.clears else None
        machine.add_transition(rule.trigger.value, list(rule.sources), rule.target, after=after)
    return model


def back_and_forth(package: HasTriggers) -> None:
    package.start_building()
    package.recover()


def look_up_twice() -> None:
    RULES[PackageStatus.PENDING, Trigger.START_BUILDING]
    RULES[PackageStatus.BUILDING, Trigger.RECOVER]


def results() -> list[Result]:
    """Measure."""
    times = seconds_a_call(
        {
            "releasekit": partial(back_and_forth, PackageState("core")),
            "Automat": partial(back_and_forth, automat_machine()(Fields())),
            "python-statemachine": partial(back_and_forth, StateMachinePackage()),
            "transitions": partial(back_and_forth, transitions_package()),
            "a dictionary look-up": look_up_twice,
        },
        NUMBER,
    )
    limits: dict[str, tuple[float | None, float | None]] = {
        "python-statemachine": (1, 0.5),
        "transitions": (1, 0.75),
    }
    mine = times.pop("releasekit") / 2
    return [
        Result("a trigger", f"{mine * 1e6:.1f} µs", f"{name}, {theirs / 2 * 1e6:.2f} µs", mine * 2 / theirs, *limit)
        for name, theirs in times.items()
        for limit in [limits.get(name, (None, None))]
    ]
