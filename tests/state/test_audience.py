"""Who is told of a run: recorders before listeners, in order, and that an interrupt in the middle is noticed."""

from __future__ import annotations

import os
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, TypeAlias

import pytest

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import PackageStatus, Trigger
from releasekit.state import PackageState
from releasekit.state import audience as audience_module
from releasekit.state.audience import LOCK, Audience, Transition

if TYPE_CHECKING:
    from collections.abc import Callable

    Seen: TypeAlias = "list[tuple[str, str, object, bool]]"

PATIENCE = 30.0  # seconds for a thread to get its turn
PACKAGE = PackageState("core")
MOVED = Transition("core", Trigger.SKIP, PackageStatus.PENDING, PackageStatus.SKIPPED, {"reason": "private"})


class Witness:
    """A recorder that also listens, and notes what it is told and whether it was over by then."""

    def __init__(self, name: str, audience: Audience, seen: Seen) -> None:
        self.name = name
        self.audience = audience
        self.seen = seen

    def declared(self, package: PackageState) -> None:
        self.seen.append((self.name, "declared", package, self.audience.moving))

    def moved(self, package: PackageState, moved: Transition) -> None:
        assert package is PACKAGE
        self.seen.append((self.name, "moved", moved, self.audience.moving))

    def listen(self, moved: Transition) -> None:
        self.seen.append((self.name, "heard", moved, self.audience.moving))


@pytest.fixture
def audience() -> Audience:
    return Audience()


@pytest.fixture
def seen(audience: Audience) -> Seen:
    """What two recorders and two listeners were told."""
    seen: Seen = []
    witnesses = [Witness(name, audience, seen) for name in ("first", "second")]
    audience.recorders += witnesses
    audience.listeners += [witness.listen for witness in witnesses]
    return seen


def test_at_first_nobody_is_there_and_nothing_happens(audience: Audience) -> None:
    assert (audience.recorders, audience.listeners, audience.moving) == ([], [], False)
    audience.check()
    audience.tell(PACKAGE, MOVED)
    audience.declare(PACKAGE)
    assert audience.moving is False


def test_recorders_are_told_of_a_trigger_before_it_is_over_and_listeners_after(audience: Audience, seen: Seen) -> None:
    audience.moving = True
    audience.tell(PACKAGE, MOVED)
    assert seen == [
        ("first", "moved", MOVED, True),
        ("second", "moved", MOVED, True),
        ("first", "heard", MOVED, False),
        ("second", "heard", MOVED, False),
    ]
    assert audience.moving is False


def test_only_recorders_are_told_of_a_package_that_joined_and_then_it_is_over(audience: Audience, seen: Seen) -> None:
    audience.moving = True
    audience.declare(PACKAGE)
    assert seen == [("first", "declared", PACKAGE, True), ("second", "declared", PACKAGE, True)]
    assert audience.moving is False


def tell(audience: Audience) -> None:
    audience.tell(PACKAGE, MOVED)


def declare(audience: Audience) -> None:
    audience.declare(PACKAGE)


@pytest.mark.parametrize("happen", [tell, declare])
def test_an_interrupt_of_a_recorder_leaves_it_in_the_middle(
    audience: Audience,
    seen: Seen,
    happen: Callable[[Audience], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    for name in ("declared", "moved"):
        monkeypatch.setattr(audience.recorders[1], name, interrupted)
    audience.moving = True
    with pytest.raises(KeyboardInterrupt):
        happen(audience)
    assert len(seen) == 1
    with pytest.raises(ReleaseKitError) as caught:
        audience.check()
    error = caught.value
    assert error.code is E.STATE_NOT_DURABLE
    assert error.message == (
        "an interrupt hit while a package was being moved, so nothing more of this run is recorded"
    )
    assert error.hint == "run the same command again: it goes on from what was written"


def test_an_error_of_a_listener_leaves_nothing_in_the_middle(audience: Audience) -> None:
    def fail(_moved: Transition) -> None:
        raise ValueError

    audience.listeners.append(fail)
    audience.moving = True
    with pytest.raises(ValueError, match=r"^$"):
        audience.tell(PACKAGE, MOVED)
    audience.check()


def test_nothing_else_can_be_set_on_an_audience(audience: Audience) -> None:
    with pytest.raises(AttributeError):
        audience.other = 1  # type: ignore[attr-defined]


def test_the_lock_lets_its_holder_in_again_and_nobody_else() -> None:
    taken: list[bool] = []
    with LOCK, LOCK:
        other = Thread(target=lambda: taken.append(LOCK.acquire(blocking=False)))
        other.start()
        other.join()
    assert taken == [False]


def test_a_process_forked_while_another_thread_had_the_lock_can_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience_module, "_FORK_PATIENCE", PATIENCE)
    held = Event()

    def hold() -> None:
        with LOCK:
            held.set()
            time.sleep(0.1)

    holder = Thread(target=hold)
    holder.start()
    held.wait()
    pid = os.fork()
    if not pid:  # pragma: no cover  # measured in the parent
        os._exit(0 if LOCK.acquire(timeout=PATIENCE) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    holder.join()
    other = Thread(target=hold, daemon=True)
    held.clear()
    other.start()
    assert held.wait(PATIENCE)  # the fork has given it back here too
    other.join()


def test_a_fork_does_not_wait_long_for_a_listener_that_may_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience_module, "_FORK_PATIENCE", 0.05)
    held, forked = Event(), Event()
    waited: list[bool] = []

    def listen() -> None:
        with LOCK:
            held.set()
            waited.append(forked.wait(PATIENCE))

    listener = Thread(target=listen)
    listener.start()
    held.wait()
    pid = os.fork()
    if not pid:  # pragma: no cover  # measured in the parent
        os._exit(0)
    forked.set()
    assert os.waitpid(pid, 0)[1] == 0
    listener.join()
    assert waited == [True]


def test_a_transition_is_its_facts_in_order() -> None:
    assert MOVED == ("core", "skip", "pending", "skipped", {"reason": "private"})
    assert Transition._fields == ("package", "trigger", "source", "target", "carried")
