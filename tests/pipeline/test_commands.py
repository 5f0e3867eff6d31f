"""Steps that are a user's own commands: real processes, which make, send and look for real files."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.pipeline.doubles import MemoryIndex, make_package
from tests.support import digests

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.build import Builder
from releasekit.pipeline.commands import ByCommands, CommandIndex
from releasekit.pipeline.npm import Npm
from releasekit.pipeline.outcome import ConflictError, NotShownError, StepError, TransientError
from releasekit.pipeline.python import Python
from releasekit.pipeline.steps import IndexSteps
from releasekit.workspace import Workspace
from releasekit.workspace.settings import Commands, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.pipeline.index import Index
    from releasekit.workspace import Package

SH = ("/bin/sh", "-c")
BUILD = (*SH, 'echo "$1 $2" > "$0/$1-$2.crate"', "{out}", "{package}", "{version}")
PUBLISH = (*SH, 'mkdir -p "$0" && cp "$@" "$0"', "{root}/registry", "{files}")
VERIFY = (
    *SH,
    'for file in "$@"; do at="$0/$(basename "$file")"; [ -e "$at" ] || exit 1; cmp -s "$file" "$at" || exit 4; done',
    "{root}/registry",
    "{files}",
)
CRATE = "core-1.0.crate"


class Bench:
    """A workspace of one package, whose steps are commands."""

    def __init__(self, root: Path, **commands: tuple[str, ...]) -> None:
        self.root = root
        self.registry = root / "registry"
        package = make_package("core", root)
        package.directory.mkdir()
        settings = Settings(build_timeout=20, upload_timeout=20, retry_budget=0, commands=Commands(**commands))
        self.package = replace(package, settings=settings)
        self.ecosystem = ByCommands(Python())
        self.builder = Builder(root, 1_700_000_000, self.ecosystem)

    def workspace(self, *others: Package) -> Workspace:
        return Workspace(self.root, {each.name: each for each in (self.package, *others)}, {})

    def allow(self, **seconds: float) -> None:
        self.package = replace(self.package, settings=replace(self.package.settings, **seconds))  # type: ignore[arg-type]  # seconds

    def steps(self, index: Index | None = None) -> IndexSteps:
        index = index or self.ecosystem.choose_index("crates", self.workspace())
        return IndexSteps(self.builder, index)

    def build(self) -> Mapping[str, str]:
        return asyncio.run(self.steps().build(self.package, {})).artifacts

    def publish(self, artifacts: Mapping[str, str]) -> None:
        asyncio.run(self.steps().publish(self.package, artifacts, nullcontext))

    def verify(self, artifacts: Mapping[str, str], patience: float = 20) -> None:
        asyncio.run(self.steps().verify(self.package, artifacts, patience))


@pytest.fixture
def crates(tmp_path: Path) -> Bench:
    """One whose three steps are commands."""
    return Bench(tmp_path, build=BUILD, publish=PUBLISH, verify=VERIFY)


def test_commands_make_send_and_see_a_file_that_is_no_python_package(crates: Bench) -> None:
    built = crates.build()
    assert [*built] == [CRATE]
    assert (crates.builder.directory("core") / CRATE).read_text() == "core 1.0\n"

    with pytest.raises(NotShownError, match=CRATE):
        crates.verify(built, 1)
    crates.publish(built)
    crates.verify(built)
    assert digests(crates.registry) == built


def test_what_is_there_already_is_not_sent_again(crates: Bench) -> None:
    built = crates.build()
    crates.publish(built)
    (crates.registry / CRATE).chmod(0o400)
    before = (crates.registry / CRATE).stat().st_mtime_ns

    crates.publish(built)

    assert (crates.registry / CRATE).stat().st_mtime_ns == before


def test_other_content_is_a_conflict_for_a_person(crates: Bench) -> None:
    built = crates.build()
    crates.registry.mkdir()
    (crates.registry / CRATE).write_text("theirs")

    for step in (crates.publish, crates.verify):
        with pytest.raises(ConflictError, match="verify command of 'core' ended with status 4") as caught:
            step(built)
        assert caught.value.code is E.INDEX_CONFLICT


def test_what_was_never_built_is_not_looked_for(crates: Bench) -> None:
    index = crates.ecosystem.choose_index("crates", crates.workspace())
    assert asyncio.run(index.files("core", "1.0", {})) == {}
    assert asyncio.run(index.filenames("core")) == ()
    assert (index.name, index.identity, index.directory) == ("crates", "crates, by commands", None)
    asyncio.run(index.aclose())


@pytest.mark.parametrize(("status", "kind"), [(75, TransientError), (1, StepError), (4, StepError)])
def test_a_publish_that_fails_says_what_it_printed(tmp_path: Path, status: int, kind: type[StepError]) -> None:
    bench = Bench(tmp_path, build=BUILD, publish=(*SH, f"echo no luck; exit {status}"), verify=VERIFY)
    with pytest.raises(StepError, match=rf"publish command of 'core' ended with status {status}:\nno luck") as caught:
        bench.publish(bench.build())
    assert type(caught.value) is kind
    assert caught.value.code is E.PUBLISH_FAILED


def test_a_publish_that_fails_after_all_arrived_has_succeeded(tmp_path: Path) -> None:
    publish = (*SH, 'mkdir -p "$0" && cp "$@" "$0"; exit 9', "{root}/registry", "{files}")
    bench = Bench(tmp_path, build=BUILD, publish=publish, verify=VERIFY)
    built = bench.build()
    bench.publish(built)
    bench.verify(built)


@pytest.mark.parametrize("status", [2, 75, 127])
def test_a_verify_that_can_not_tell_is_asked_again(tmp_path: Path, status: int) -> None:
    bench = Bench(tmp_path, build=BUILD, publish=PUBLISH, verify=(*SH, f"echo the network; exit {status}"))
    with pytest.raises(TransientError, match="the network") as caught:
        bench.publish(bench.build())
    assert caught.value.code is E.INDEX_UNREADABLE
    assert not bench.registry.exists()


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("echo old; exit 3", E.BUILD_FAILED, "ended with status 3:\nold"),
        ("exit 3", E.BUILD_FAILED, "ended with status 3, and printed nothing"),
        ("sleep 60", E.BUILD_TIMEOUT, "did not end within 1 s"),
        ("true", E.BUILD_INCOMPLETE, "left no file"),
    ],
)
def test_a_build_that_fails_or_leaves_nothing_is_an_error(tmp_path: Path, script: str, code: E, said: str) -> None:
    bench = Bench(tmp_path, build=(*SH, script), publish=PUBLISH, verify=VERIFY)
    bench.allow(build_timeout=1)
    with pytest.raises(StepError, match=said) as caught:
        bench.build()
    assert caught.value.code is code
    assert not any((tmp_path / ".releasekit-dist").iterdir())


@pytest.mark.parametrize("script", ['mkdir "$0/x"', 'ln -s /etc/hosts "$0/x"', 'mkfifo "$0/x"', 'ln -s none "$0/x"'])
def test_a_build_command_that_leaves_what_is_no_file_is_told_so(tmp_path: Path, script: str) -> None:
    bench = Bench(tmp_path, build=(*SH, f'touch "$0/y"; {script}', "{out}"), publish=PUBLISH, verify=VERIFY)
    with pytest.raises(StepError, match="the build command of 'core' left x, no regular file, in") as caught:
        bench.build()
    assert caught.value.code is E.BUILD_INCOMPLETE


def test_what_a_build_command_leaves_for_git_is_not_published(tmp_path: Path) -> None:
    script = 'touch "$0/.gitignore" "$0/y"'
    bench = Bench(tmp_path, build=(*SH, script, "{out}"), publish=PUBLISH, verify=VERIFY)
    assert [*bench.build()] == ["y"]


def test_a_publish_that_hangs_is_killed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, build=BUILD, publish=(*SH, "sleep 60"), verify=VERIFY)
    bench.allow(upload_timeout=1)
    with pytest.raises(TransientError, match="did not end within 1 s") as caught:
        bench.publish(bench.build())
    assert caught.value.code is E.PUBLISH_TIMEOUT


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    bench = Bench(tmp_path, build=("./no-such-program",), publish=PUBLISH, verify=VERIFY)
    with pytest.raises(StepError, match="no-such-program could not be run"):
        bench.build()


def test_a_verify_whose_program_is_not_there_is_not_asked_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, build=BUILD, publish=PUBLISH, verify=("no-such-program", "{files}"))
    built = bench.build()
    with pytest.raises(StepError, match="the verify command of 'core' did not begin: no-such-program") as caught:
        bench.publish(built)
    assert not isinstance(caught.value, TransientError)
    assert caught.value.hint == "put it on PATH, or mend what pyproject.toml has as steps.verify"
    assert not bench.registry.exists()


def test_a_path_is_one_of_the_package_and_runs_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path, build=("./make.sh", "{out}"), publish=PUBLISH, verify=VERIFY)
    script = bench.package.directory / "make.sh"
    script.write_text('#!/bin/sh\npwd > "$1/where"\n')
    script.chmod(0o755)
    bench.build()
    assert (bench.builder.directory("core") / "where").read_text().strip() == str(bench.package.directory)


def test_no_shell_reads_an_argument(tmp_path: Path) -> None:
    bench = Bench(tmp_path, build=("cp", "a file; touch pwned", "{out}/$(touch pwned)"), publish=PUBLISH, verify=VERIFY)
    (bench.package.directory / "a file; touch pwned").touch()
    assert [*bench.build()] == ["$(touch pwned)"]
    assert not any(tmp_path.rglob("pwned"))


def test_the_environment_tells_the_same_as_the_arguments_and_no_secret_to_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "a-very-secret-token")
    show = (
        'env -0 > "$RELEASEKIT_ROOT/$0.env"; [ "$0" != build ] || echo 1 > "$RELEASEKIT_OUT/file"; [ "$0" != verify ]'
    )
    bench = Bench(tmp_path, **{step: (*SH, show, step) for step in ("build", "publish", "verify")})
    built = bench.build()
    bench.publish(built)

    def told(step: str) -> dict[str, str]:
        text = (tmp_path / f"{step}.env").read_text()
        return dict(line.partition("=")[::2] for line in text.split("\0") if line)

    for step in ("build", "publish", "verify"):
        environ = told(step)
        assert environ["RELEASEKIT_PACKAGE"] == "core"
        assert environ["RELEASEKIT_VERSION"] == "1.0"
        assert environ["RELEASEKIT_DIRECTORY"] == str(bench.package.directory)
        assert json.loads(environ["RELEASEKIT_ARTIFACTS"]) == ({} if step == "build" else built)
        assert ("UV_PUBLISH_TOKEN" in environ) == (step != "build")
    assert told("build")["SOURCE_DATE_EPOCH"] == "1700000000"
    assert told("publish")["RELEASEKIT_INDEX"] == "crates"
    assert told("publish")["RELEASEKIT_OUT"] == str(bench.builder.directory("core"))


def test_a_build_command_is_not_shown_what_may_publish_in_a_workspace_of_npm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    withheld = ("NPM_TOKEN", "NODE_AUTH_TOKEN", "NAMED_IN_NPMRC", "UV_PUBLISH_TOKEN")
    for name in (*withheld, "OTHER"):
        monkeypatch.setenv(name, "canary-1")
    (tmp_path / ".npmrc").write_text("//r.test/:_authToken=${NAMED_IN_NPMRC}\n")
    show = (*SH, 'env > "$0/file"', "{out}")
    bench = Bench(tmp_path, build=show, publish=PUBLISH, verify=VERIFY)
    bench.builder = Builder(tmp_path, 1_700_000_000, ByCommands(Npm()))

    bench.build()

    shown = (bench.builder.directory("core") / "file").read_text()
    assert [line for line in shown.splitlines() if line.endswith("=canary-1")] == ["OTHER=canary-1"]


def test_a_secret_in_the_name_of_an_index_is_refused_since_it_would_be_stored_and_shown(crates: Bench) -> None:
    with pytest.raises(ReleaseKitError, match="has a secret in its name") as caught:
        crates.ecosystem.choose_index("https://me:canary-1@crates.test/", crates.workspace())
    assert caught.value.code is E.INDEX_UNKNOWN
    assert "canary-1" not in str(caught.value)


def test_lost_files_that_no_build_gives_again_can_not_be_given_by_hand(tmp_path: Path) -> None:
    bench = Bench(tmp_path, build=(*SH, 'touch "$0/$$.crate"', "{out}"), publish=PUBLISH, verify=VERIFY)
    built = bench.build()
    shutil.rmtree(bench.builder.directory("core"))
    with pytest.raises(StepError, match="lost") as caught:
        asyncio.run(bench.steps().build(bench.package, built))
    assert caught.value.hint == "start over with `releasekit publish --fresh`"


# some steps only


def test_a_build_command_makes_what_the_index_takes(tmp_path: Path) -> None:
    """Without a verify the files are those of a Python package, and looked at as such."""
    bench = Bench(tmp_path, build=BUILD)
    with pytest.raises(StepError, match="not one sdist and at least one wheel") as caught:
        asyncio.run(IndexSteps(bench.builder, MemoryIndex()).build(bench.package, {}))
    assert caught.value.code is E.BUILD_INCOMPLETE


def test_without_commands_nothing_is_different(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(ReleaseKitError) as caught:
        bench.steps()
    assert caught.value.code is E.INDEX_UNKNOWN
    assert not isinstance(bench.ecosystem.choose_index("./out", bench.workspace()), CommandIndex)


def test_a_package_without_commands_needs_an_index_that_is_known(crates: Bench) -> None:
    other = make_package("other", crates.root)
    with pytest.raises(ReleaseKitError) as caught:
        crates.ecosystem.choose_index("crates", crates.workspace(other))
    assert caught.value.code is E.INDEX_UNKNOWN

    index = crates.ecosystem.choose_index(f"{crates.root}/out", crates.workspace(other))
    assert index.directory == crates.root / "out"
    assert not index.is_whole([CRATE], "other", "1.0")
    assert index.is_whole([CRATE], "core", "1.0")
    assert not index.is_whole([], "core", "1.0")
    assert asyncio.run(index.files("other", "1.0", {})) == {}
    left_out = replace(other, skip_reason="it is private")
    assert isinstance(crates.ecosystem.choose_index("crates", crates.workspace(left_out)), CommandIndex)


def test_an_upload_without_a_command_goes_where_it_always_does(crates: Bench) -> None:
    other = make_package("other", crates.root)
    index = crates.ecosystem.choose_index(f"{crates.root}/out", crates.workspace(other))
    file = crates.root / "other-1.0.tar.gz"
    file.write_text("an sdist")
    asyncio.run(index.upload("other", "1.0", [file], 20))
    assert [*digests(crates.root / "out")] == [file.name]


def test_a_publish_command_alone_is_verified_by_the_index(tmp_path: Path) -> None:
    publish = (*SH, 'mkdir -p "$0" && cp "$@" "$0"', "{root}/out", "{files}")
    bench = Bench(tmp_path, publish=publish)
    index = bench.ecosystem.choose_index(f"{tmp_path}/out", bench.workspace())
    kept = bench.builder.directory("core")
    kept.mkdir(parents=True)
    for name in ("core-1.0.tar.gz", "core-1.0-py3-none-any.whl"):
        (kept / name).write_text(name)
    steps = bench.steps(index)
    asyncio.run(steps.publish(bench.package, digests(kept), nullcontext))
    asyncio.run(steps.verify(bench.package, digests(kept), 20))
    assert digests(tmp_path / "out") == digests(kept)


def test_an_earlier_run_may_have_had_other_packages(crates: Bench) -> None:
    index = crates.ecosystem.choose_index("crates", crates.workspace())
    assert index.is_whole(["x"], "gone", "1.0")


def test_what_was_built_elsewhere_is_left_as_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path, build=(*SH, 'echo mine > "$0/given"', "{out}"), publish=PUBLISH, verify=VERIFY)
    given = bench.builder.given("core")
    given.mkdir(parents=True)
    (given / "given").write_text("theirs")
    with pytest.raises(StepError, match="changed or removed what --wheels gave: given") as caught:
        bench.build()
    assert caught.value.code is E.BUILD_MISMATCH


def test_a_package_whose_verify_is_a_command_is_not_looked_into(crates: Bench) -> None:
    built = crates.build()
    versions = {"core": "1.0"}
    asyncio.run(crates.steps().check(crates.package, versions, lambda _: True))
    assert built
