"""A model of one package's release: what the process does with it, and what may come of that.

The status moves as the lifecycle table says and not otherwise, and `reconcile` decides: another table, or another
decision, is another model. What the steps do around that is cut down to the facts that a promise is about: a package
has one file, its content is a number, and any build may give another one. The index keeps what came first and shows it
at any later moment; a request or its answer may be lost, and every patience may end.

A trigger and its flush are one move: nobody acts on the status between them, so that a crash there is one before or
after both. A crash between an upload and its answer is, likewise, one just after the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.lifecycle import IN_FLIGHT, RULES, PackageStatus, Trigger
from releasekit.pipeline.outcome import ConflictError, RebuiltError
from releasekit.pipeline.reconcile import Decision, decide, refuse_others, to_send

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from releasekit.lifecycle import Rule

CONTENTS: Final = (0, 1)
"""What a build may give: two are enough to tell the same from another."""

FOREIGN: Final = 2
"""What somebody else publishes."""


class Promise(StrEnum):
    """What must hold for every move and in every state."""

    LEGAL = "every change of a status is in the table"
    ONE_CONTENT = "one content at most is ever sent under a name"
    NOT_AGAIN = "what the index showed before publishing began is not sent again"
    NOT_OVER = "where the index showed other content before publishing began, nothing is sent"
    INTENT = "publishing is durable before anything is sent"
    ORDER = "what a package requires is published before it is sent"
    GATE = "everything is built before anything is sent"
    SHOWN = "what counts as published is shown with the recorded content"
    GOES_ON = "every state leads to an end by itself"


class Step(IntEnum):
    """How far the process is with a package; a crash forgets it. OUT is failed in this process, IDLE all the rest."""

    IDLE = auto()
    LOOK = auto()
    BUILT = auto()
    READY = auto()
    ASK = auto()
    SEND = auto()
    SENT = auto()
    OUT = auto()


class Package(NamedTuple):
    """The facts of one package.

    Attributes:
        status: Where it stands, durably.
        step: How far the process is with it.
        recorded: The content that is recorded.
        disk: The content that is in the directory of built files.
        stored: The content that the index has.
        shown: Whether the index shows it.
        sent: The contents that were ever sent, sorted.
        begun: Whether publishing was begun since the content was recorded.
        known: Whether the index showed anything when this process began to publish.
        conflict: Whether it failed with a conflict.
    """

    status: PackageStatus = PackageStatus.PENDING
    step: Step = Step.IDLE
    recorded: int | None = None
    disk: int | None = None
    stored: int | None = None
    shown: bool = False
    sent: tuple[int, ...] = ()
    begun: bool = False
    known: bool = False
    conflict: bool = False


class Move(NamedTuple):
    """What may happen, what comes of it, and the promises that it breaks."""

    label: str
    package: Package
    broken: tuple[Promise, ...] = ()


@dataclass(frozen=True, eq=False)
class PackageModel:
    """What may happen to one package. All is as it should be, unless told otherwise.

    Attributes:
        rules: The lifecycle table.
        lags: Whether the index may have what it does not show yet.
        asks_first: Whether the index is asked before a build and before an upload.
        guards: Whether what is built again is compared with what may have been sent.
        intends_first: Whether publishing is durable before the upload.
        verifies: Whether the index must show a package before it counts as published.
        reproducible: Whether every build of a package gives the same.
        fired: The rows of the table that were made use of.
    """

    rules: Mapping[tuple[PackageStatus, Trigger], Rule] = field(default_factory=lambda: RULES)
    lags: bool = True
    asks_first: bool = True
    guards: bool = True
    intends_first: bool = True
    verifies: bool = True
    reproducible: bool = False
    fired: set[tuple[PackageStatus, Trigger]] = field(default_factory=set, init=False)
    _known: dict[tuple[Package, bool], tuple[Move, ...]] = field(default_factory=dict, init=False)

    def moves(self, package: Package, *, releases: bool) -> tuple[Move, ...]:
        """Say what the process may do next with a package; it publishes it only if it `releases`."""
        key = package, releases
        if key not in self._known:
            self._known[key] = tuple(_checked(package, move) for move in self._work(package, releases=releases))
        return self._known[key]

    def put_back(self, package: Package, *, retries: bool) -> Move:
        """Recover a package, as a process does when it starts and when it ends; when it starts, it retries, too."""
        if package.status in IN_FLIGHT:
            return self._fire(package, Trigger.RECOVER)
        if retries and package.status is PackageStatus.FAILED and not package.conflict:
            return self.retry(package)
        return Move("", package._replace(step=Step.IDLE))

    def retry(self, package: Package) -> Move:
        """Retry what failed; after a conflict only a person does that."""
        return self._fire(package, Trigger.RETRY)

    def _work(self, package: Package, *, releases: bool) -> Iterator[Move]:
        match package.step, package.status:
            case Step.IDLE, PackageStatus.PENDING:
                yield self._fire(package, Trigger.START_BUILDING, Step.LOOK)
            case Step.LOOK, _:
                yield from self._look(package)
            case Step.BUILT, _:
                yield self._keep(package)
            case Step.READY, _ if releases:
                looked = package._replace(known=package.shown)
                early = Move("start_publishing, not durable yet", looked._replace(step=Step.ASK))
                yield self._fire(looked, Trigger.START_PUBLISHING, Step.ASK) if self.intends_first else early
            case Step.ASK, _:
                yield self._ask(package)
            case Step.SEND, _:
                yield from self._send(package)
            case Step.SENT, PackageStatus.BUILDING:
                yield self._fire(package, Trigger.START_PUBLISHING, Step.SENT)
            case Step.SENT, _:
                yield self._fire(package, Trigger.START_VERIFYING)
            case Step.IDLE, PackageStatus.VERIFYING:
                yield self._verify(package)

    def _look(self, package: Package) -> Iterator[Move]:
        try:
            decision = decide(_files(package.recorded), _files(package.disk), self._asked(package), "index")
        except ConflictError:
            yield self._fail(package, "other content is shown", conflict=True)
            return
        if decision is not Decision.BUILD:
            yield Move(f"{decision.name.lower()}s what was recorded", package._replace(step=Step.READY))
            return
        for content in CONTENTS[: 1 if self.reproducible else None]:
            yield Move(f"a build gives content {content}", package._replace(disk=content, step=Step.BUILT))
        yield self._fail(package, "a build gives an error")

    def _keep(self, package: Package) -> Move:
        if package.disk == package.recorded:
            return Move("it is what was recorded", package._replace(step=Step.READY))
        if package.begun and self.guards:
            try:
                refuse_others(_files(package.recorded), _files(package.disk), "index")
            except RebuiltError:
                return self._fail(package, "other content may have been sent", conflict=True)
        return self._fire(package, Trigger.RECORD_ARTIFACTS, Step.READY)

    def _ask(self, package: Package) -> Move:
        try:
            missing = to_send(_files(package.recorded), self._asked(package), "index")
        except ConflictError:
            return self._fail(package, "other content is shown", conflict=True)
        if not missing:
            return Move("is shown, so it need not be sent", package._replace(step=Step.SENT))
        if package.disk != package.recorded:
            return self._fail(package, "the built files are gone")
        return Move("is to be sent", package._replace(step=Step.SEND))

    def _send(self, package: Package) -> Iterator[Move]:
        assert package.disk is not None
        sends = f"sends content {package.disk}"
        tried = package._replace(sent=tuple(sorted({*package.sent, package.disk})))
        if package.stored not in {None, package.disk}:
            yield self._fail(tried, f"{sends}, which is refused", conflict=package.shown)
            return
        stored = tried._replace(stored=package.disk, shown=package.shown or not self.lags)
        yield Move(sends, stored._replace(step=Step.SENT))
        for label, after in ((f"{sends}, the answer is lost", stored), (f"{sends}, which is lost", tried)):
            yield Move(label, after._replace(step=Step.ASK))
            yield self._fail(after, f"{label}, as often as it is tried")

    def _verify(self, package: Package) -> Move:
        try:
            missing = to_send(_files(package.recorded), _shown(package), "index")
        except ConflictError:
            return self._fail(package, "other content is shown", conflict=True)
        if missing and self.verifies:
            return self._fail(package, "is not shown in time")
        return self._fire(package, Trigger.CONFIRM)

    def _asked(self, package: Package) -> dict[str, str]:
        return _shown(package) if self.asks_first else {}

    def _fail(self, package: Package, why: str, *, conflict: bool = False) -> Move:
        move = self._fire(package, Trigger.FAIL, Step.OUT)
        return move._replace(label=f"{why}: fail", package=move.package._replace(conflict=conflict))

    def _fire(self, package: Package, trigger: Trigger, step: Step = Step.IDLE) -> Move:
        """Do what the table says of a trigger; where it says nothing, that is refused and changes nothing."""
        rule = self.rules.get((package.status, trigger))
        if rule is None:
            return Move(trigger, package, (Promise.LEGAL,))
        self.fired.add((package.status, trigger))
        status = rule.target or package.status
        recorded, begun = package.recorded, package.begun or status is PackageStatus.PUBLISHING
        if rule.carries == "artifacts":
            recorded, begun = package.disk, False
        known = package.known and step is Step.ASK
        moved = package._replace(status=status, step=step, recorded=recorded, begun=begun, known=known, conflict=False)
        return Move(trigger, moved)


def _files(content: int | None) -> dict[str, str]:
    return {} if content is None else {"a file": f"{content}"}


def _shown(package: Package) -> dict[str, str]:
    return _files(package.stored) if package.shown else {}


def _checked(before: Package, move: Move) -> Move:
    """Say which promises a move breaks."""
    after, sends = move.package, before.step is Step.SEND
    broken = {
        Promise.NOT_AGAIN: sends and before.known and before.stored == before.disk,
        Promise.NOT_OVER: sends and before.known and before.stored != before.disk,
        Promise.INTENT: sends and before.status is not PackageStatus.PUBLISHING,
        Promise.ONE_CONTENT: len(after.sent) > 1,
        Promise.SHOWN: after.status is PackageStatus.PUBLISHED and _shown(after) != _files(after.recorded),
    }
    return move._replace(broken=(*move.broken, *(promise for promise in broken if broken[promise])))
