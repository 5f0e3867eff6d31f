"""The public API as its users type it: checked by mypy and never run.

Right uses must pass. A wrong one carries the error that it must give: should the API become too loose to give
it, the unused ignore is an error itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

from transitions import MachineError

from releasekit import (
    STATE_FILENAME,
    E,
    IllegalTransitionError,
    PackageState,
    PackageStatus,
    ReleaseKitError,
    RunState,
    RunStore,
    Trigger,
)
from releasekit.errors import E as SameE
from releasekit.logging import get_logger
from releasekit.state import RunState as SameRunState

path = Path(STATE_FILENAME)
assert_type(str(STATE_FILENAME), str)

# A package shows its fields, and only its triggers change it.

package = PackageState("core", PackageStatus.PENDING, "1.0", "", 0, requires=["base"], artifacts={"a": "b"})
assert_type(package.name, str)
assert_type(package.status, PackageStatus)
assert_type(package.version, str)
assert_type(package.error, str)
assert_type(package.level, int)
assert_type(package.requires, tuple[str, ...])
assert_type(package.artifacts, Mapping[str, str])
assert_type(package.attempts, int)
assert_type(package.reason, str)
assert_type(package.may(Trigger.START_BUILDING), bool)
assert_type(package.allowed_triggers(), tuple[Trigger, ...])

assert_type(package.start_building(), None)
package.record_artifacts({"core.whl": "0" * 64})
package.record_artifacts({"core.whl": "0" * 64}, "1.0")
package.record_artifacts({"core.whl": "0" * 64}, version="1.0")
package.start_publishing()
package.start_verifying()
package.confirm()
package.fail("it broke")
package.fail(error="it broke")
package.skip(reason="private")
package.retry()
package.recover()

PackageState()  # type: ignore[call-arg]
PackageState("core", "pending")  # type: ignore[arg-type]
PackageState("core", level="1")  # type: ignore[arg-type]
PackageState("core", requires=[1])  # type: ignore[list-item]
PackageState("core", PackageStatus.PENDING, "", "", 0, ["base"])  # type: ignore[call-arg]
package.fail()  # type: ignore[call-arg]
package.fail(5)  # type: ignore[arg-type]
package.skip()  # type: ignore[call-arg]
package.record_artifacts()  # type: ignore[call-arg]
package.record_artifacts(["core.whl"])  # type: ignore[arg-type]
package.record_artifacts({"core.whl": "0" * 64}, 1.0)  # type: ignore[arg-type]
package.start_building("now")  # type: ignore[call-arg]
package.may("start_building")  # type: ignore[arg-type]
package.publish()  # type: ignore[attr-defined]
package.to_published()  # type: ignore[attr-defined]
package.artifacts["core.whl"] = "0"  # type: ignore[index]

package.status = PackageStatus.PUBLISHED  # type: ignore[assignment]
package.error = ""  # type: ignore[assignment]
package.name = "other"  # type: ignore[assignment]

# A run answers questions about all of them.

run = RunState("abc", {"core": package}, "2026-01-02T03:04:05+00:00")
assert_type(RunState("abc"), SameRunState)
assert_type(run.git_sha, str)
assert_type(run.created_at, str)
assert_type(run.packages, Mapping[str, PackageState])
assert_type(run.init_package("core", version="1.0", level=1, requires=["base"]), PackageState)
assert_type(run["core"], PackageState)
assert_type(run.set_status("core", PackageStatus.FAILED, error="it broke"), None)
assert_type(run.pending_packages(), list[str])
assert_type(run.failed_packages(), list[str])
assert_type(run.published_packages(), list[str])
assert_type(run.skipped_packages(), list[str])
assert_type(run.unfinished_packages(), list[str])
assert_type(run.ready_packages(), list[str])
assert_type(run.blocked_packages(), dict[str, tuple[str, ...]])
assert_type(run.is_complete(), bool)
assert_type(run.validate_sha("abc"), None)
assert_type(run.recover(), list[str])
assert_type(run.save(path), None)
assert_type(run.save("state.json"), None)
assert_type(RunState.load(path), RunState)
assert_type(run.to_dot(), str)
assert_type(run.draw("run.svg"), None)
assert_type("core" in run, bool)
assert_type(len(run), int)
assert_type(list(run), list[str])

RunState()  # type: ignore[call-arg]
RunState(b"abc")  # type: ignore[arg-type]
run.git_sha = "abd"  # type: ignore[misc]
run.packages["core"] = package  # type: ignore[index]
run.packages = {}  # type: ignore[misc]
run["core"] = package  # type: ignore[index]
run.init_package("core", "1.0")  # type: ignore[call-arg]
run.set_status("core", "failed")  # type: ignore[arg-type]
run.set_status("core", PackageStatus.FAILED, "it broke")  # type: ignore[call-arg]
run.save()  # type: ignore[call-arg]


async def use_the_store() -> None:
    """Open, commit and close a run."""
    assert_type(RunStore.create(path, run), RunStore)
    with RunStore.open(str(path), git_sha="abc") as store:
        assert_type(store, RunStore)
        assert_type(store.state, RunState)
        assert_type(store.commit(), None)
        assert_type(await store.acommit(), None)
        assert_type(store.close(), None)

    RunStore.create(path)  # type: ignore[call-arg]
    RunStore.open(path, "abc")  # type: ignore[call-arg]
    RunStore.open(path, git_sha=5)  # type: ignore[arg-type]
    store.acommit()  # type: ignore[unused-coroutine]


# Errors carry their facts.

error = ReleaseKitError(E.STATE_LOCKED, "it is locked", "wait")
assert_type(error.code, E)
assert_type(error.message, str)
assert_type(error.hint, str)
mismatch: str = SameE.STATE_SHA_MISMATCH

ReleaseKitError("it is locked")  # type: ignore[call-arg, arg-type]
E.NO_SUCH_CODE  # type: ignore[attr-defined]


def use_an_illegal_transition(illegal: IllegalTransitionError) -> None:
    """Read what was illegal."""
    assert_type(illegal.package, str)
    assert_type(illegal.status, PackageStatus)
    assert_type(illegal.trigger, Trigger)
    assert_type(illegal.allowed, tuple[Trigger, ...])
    ours: ReleaseKitError = illegal
    theirs: MachineError = illegal
    get_logger(__name__).error("releasekit.transition_refused", ours=ours, theirs=theirs)


get_logger().info("releasekit.run_read", packages=len(run))
get_logger(5)  # type: ignore[arg-type]
