"""Ways to break releasekit, each a promise that it no longer keeps: a judge must see that."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch
from zipfile import ZipFile

from releasekit.errors import E
from releasekit.pipeline import build, process, steps
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python import Python
from releasekit.pipeline.python.package_index import PackageIndex
from releasekit.pipeline.steps import IndexSteps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from releasekit.pipeline.built import Built
    from releasekit.pipeline.carrier import Sending
    from releasekit.pipeline.ecosystem import Build
    from releasekit.workspace import Package


def build_again() -> None:
    """Build anew at every resume, never the same bytes, and send that without asking what is there."""
    uv_build = Python.build

    async def changed(self: Python, build: Build) -> None:
        await uv_build(self, build)
        _change(build.target)

    async def again(self: IndexSteps, package: Package, _: Mapping[str, str]) -> Built:
        return await self.builder.build(package)

    async def blindly(self: IndexSteps, package: Package, artifacts: Mapping[str, str], sending: Sending) -> None:
        del sending
        directory = self.builder.directory(package.name)
        paths = [directory / name for name in sorted(artifacts)]
        await self.index.upload(package.name, package.version, paths, package.settings.upload_timeout)

    async def upload(self: PackageIndex, _name: str, _version: str, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109  # as it is
        target = self.url.removesuffix("simple/") + "upload/"
        command = [process.find_uv(), "publish", "--no-config", "--publish-url", target, *map(str, paths)]
        try:
            await process.run(command, cwd=self.workspace, environ={}, timeout=timeout)
        except process.CommandError as error:
            raise StepError(E.PUBLISH_FAILED, error.output) from error

    _set(Python, "build", changed)
    _set(IndexSteps, "build", again)
    _set(IndexSteps, "publish", blindly)
    _set(PackageIndex, "upload", upload)


def forget_a_file() -> None:
    """Take a package for published when its wheel is."""

    def only_wheels(artifacts: Mapping[str, str], shown: Mapping[str, str], _: str) -> list[str]:
        return [name for name in artifacts if name not in shown and name.endswith(".whl")]

    _set(steps, "to_send", only_wheels)


def leave_litter() -> None:
    """Leave a copy of what was built."""
    keep_whole = build.keep_whole

    def keep_twice(fresh: Path, final: Path) -> None:
        shutil.copytree(fresh, final.with_name(f"left-{fresh.name}"))
        keep_whole(fresh, final)

    _set(build, "keep_whole", keep_twice)


def leave_a_process() -> None:
    """Start something that goes on."""
    subprocess.Popen(["sleep", "10"], start_new_session=True)  # any


def _change(directory: Path) -> None:
    for path in directory.glob("*.whl"):
        with ZipFile(path, "a") as wheel:
            wheel.comment = secrets.token_hex(8).encode()


def _set(place: Any, name: str, value: Any) -> None:  # noqa: ANN401  # a class or a module, and what it has
    patch.object(place, name, value).start()


WAYS: Final[Mapping[str, Callable[[], None]]] = {
    way.__name__: way for way in (build_again, forget_a_file, leave_litter, leave_a_process)
}
