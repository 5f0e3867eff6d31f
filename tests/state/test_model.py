"""A run against a model of plain dictionaries, over random histories with saves and loads between."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from tests.test_lifecycle import EXPECTED, STATUSES, TRIGGERS

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import IllegalTransitionError, PackageStatus
from releasekit.state import STATE_FILENAME, RunState

DONE = {"published", "skipped"}
UNDER_WAY = {"pending", "building", "publishing", "verifying"}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
file_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\\\0"), min_size=1, max_size=20)
artifacts = st.dictionaries(file_names.filter(lambda name: name not in {".", ".."}), digests, max_size=3)
CARRIED = {"record_artifacts": ("artifacts", artifacts), "fail": ("error", texts), "skip": ("reason", texts)}
CLEARS_ERROR = {"confirm", "retry", "recover"}

Model = dict[str, dict[str, Any]]


class RunAgainstModel(RuleBasedStateMachine):
    """Does everything twice: to the run, and to a dictionary of dictionaries."""

    packages = Bundle("packages")

    def __init__(self) -> None:
        super().__init__()
        self.run = RunState("abc")
        self.model: Model = {}
        self.heard: list[Any] = []
        self.fired = 0
        self.run.listen(self.heard.append)
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / STATE_FILENAME

    def teardown(self) -> None:
        self.directory.cleanup()

    @rule(target=packages, name=names, version=texts, data=st.data(), status=st.sampled_from(PackageStatus))
    def declare(self, name: str, version: str, data: st.DataObject, status: PackageStatus) -> Any:  # noqa: ANN401  # hypothesis's own type
        known = sorted(self.model)
        requires = data.draw(st.lists(st.sampled_from(known), unique=True, max_size=4)) if known else []
        level = data.draw(st.integers(0, 9))
        if name in self.model or status not in {"pending", "skipped"}:
            with pytest.raises(ReleaseKitError) as caught:
                self.run.init_package(name, status=status)
            assert caught.value.code in {E.STATE_PACKAGE_EXISTS, E.STATE_INVALID_VALUE}
            return multiple()
        self.run.init_package(name, version=version, level=level, requires=requires, status=status, reason="")
        self.model[name] = self.new(name, version=version, level=level, requires=tuple(requires), status=status)
        return name

    @rule(name=packages, trigger=st.sampled_from(TRIGGERS), data=st.data())
    def any_trigger(self, name: str, trigger: str, data: st.DataObject) -> None:
        self.trigger(name, trigger, data)

    def trigger(self, name: str, trigger: str, data: st.DataObject) -> None:
        arguments = [data.draw(CARRIED[trigger][1])] if trigger in CARRIED else []
        method: Any = getattr(self.run[name], trigger)
        if (self.model[name]["status"], trigger) in EXPECTED:
            method(*arguments)
            self.apply(name, trigger, *arguments)
        else:
            with pytest.raises(IllegalTransitionError):
                method(*arguments)

    @rule(name=packages, recorded=artifacts, version=texts.filter(bool))
    def record_with_a_version(self, name: str, recorded: dict[str, str], version: str) -> None:
        known = self.model[name]
        if known["status"] == "building" and not known["version"]:
            self.run[name].record_artifacts(recorded, version)
            self.apply(name, "record_artifacts", recorded)
            known["version"] = version
        else:
            with pytest.raises(ReleaseKitError):
                self.run[name].record_artifacts(recorded, version)

    @rule(name=packages, data=st.data())
    def advance(self, name: str, data: st.DataObject) -> None:
        if legal := [trigger for status, trigger in EXPECTED if status == self.model[name]["status"]]:
            self.trigger(name, data.draw(st.sampled_from(legal)), data)

    @rule(target=packages, name=names | packages, status=st.sampled_from(PackageStatus), error=texts)
    def set_status(self, name: str, status: PackageStatus, error: str) -> Any:  # noqa: ANN401  # hypothesis's own type
        before = self.model.get(name, {"status": "pending"})["status"]
        new = name not in self.model
        leading = [t for t in TRIGGERS if t != "record_artifacts" and EXPECTED.get((before, t)) == status]
        if not leading and not (new and status == "pending"):
            with pytest.raises(IllegalTransitionError):
                self.run.set_status(name, status, error=error)
            return multiple()
        self.run.set_status(name, status, error=error)
        if new:
            self.model[name] = self.new(name)
        if leading:
            self.apply(name, leading[0], *([error] if leading[0] in CARRIED else []))
        return name if new else multiple()

    @rule()
    def recover(self) -> None:
        flight = sorted(name for name, p in self.model.items() if p["status"] in UNDER_WAY - {"pending"})
        assert self.run.recover() == flight
        for name in flight:
            self.apply(name, "recover")

    @rule()
    def save_and_load(self) -> None:
        before = self.run
        before.save(self.path)
        self.run = RunState.load(self.path)
        assert self.run == before
        self.run.listen(self.heard.append)

    @rule()
    def copy(self) -> None:
        self.run = copy.deepcopy(self.run)
        self.run.listen(self.heard.append)

    @invariant()
    def fields_agree(self) -> None:
        assert {name: package.fields() for name, package in self.run.packages.items()} == self.model
        assert list(self.run) == list(self.model)
        assert len(self.heard) == self.fired

    @invariant()
    def queries_agree(self) -> None:
        run, model = self.run, self.model
        for status in ("pending", "failed", "published", "skipped"):
            found = sorted(name for name in model if model[name]["status"] == status)
            assert getattr(run, f"{status}_packages")() == found
        unfinished = sorted(name for name in model if model[name]["status"] in UNDER_WAY)
        assert run.unfinished_packages() == unfinished
        assert run.is_complete() == (not unfinished)
        ready = [n for n in unfinished if all(model[r]["status"] in DONE for r in model[n]["requires"])]
        assert run.ready_packages() == ready
        roots = {name: tuple(sorted(self.roots(name))) for name in run.pending_packages()}
        assert run.blocked_packages() == {name: failed for name, failed in roots.items() if failed}

    def roots(self, name: str) -> set[str]:
        found: set[str] = set()
        for required in self.model[name]["requires"]:
            if self.model[required]["status"] == "failed":
                found.add(required)
            elif self.model[required]["status"] in UNDER_WAY:
                found |= self.roots(required)
        return found

    def apply(self, name: str, trigger: str, *carried: object) -> None:
        package = self.model[name]
        package["status"] = EXPECTED[package["status"], trigger]
        if carried:
            package[CARRIED[trigger][0]] = carried[0]
        if trigger in CLEARS_ERROR:
            package["error"] = ""
        package["attempts"] += trigger == "start_building"
        self.fired += 1

    @staticmethod
    def new(name: str, **fields: object) -> dict[str, Any]:
        nothing = {"version": "", "error": "", "level": 0, "requires": (), "artifacts": {}, "attempts": 0, "reason": ""}
        return {"name": name, "status": "pending"} | nothing | fields


def test_the_model_knows_the_documented_statuses() -> None:
    assert set(STATUSES) == DONE | UNDER_WAY | {"failed"}


TestRunAgainstModel: Any = RunAgainstModel.TestCase
TestRunAgainstModel.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
