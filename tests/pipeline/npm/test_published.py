"""Real npm, real pnpm and a real registry on 127.0.0.1: whole releases, killed in the middle and gone on with.

They need npm and install the rest: `pytest -m npm`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests import verdaccio
from tests.npm_trees import member, workspace, write
from tests.schemas import checked
from tests.support import Workspace, digests
from tests.verdaccio import Verdaccio
from tests.watcher import PROC, Watcher

from releasekit.cli import demo_workspace
from releasekit.errors import E
from releasekit.pipeline.npm import names, patterns
from releasekit.redaction import REDACTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [pytest.mark.npm, pytest.mark.timeout(600)]

PUBLISH: Final = ("publish", "--index", "npm", "--verify-timeout", "60")
TOPMOST: Final = "@aurora/api"
REQUIRES: Final = {
    "@aurora/core": (),
    "@aurora/net": ("@aurora/core",),
    "aurora.text": ("@aurora/core",),
    TOPMOST: ("@aurora/net", "aurora.text"),
}
VERSION: Final = "1.0.0"
MODULE: Final = "module.exports = [{names}].flat();\n"


@dataclass(frozen=True)
class NpmWorkspace(Workspace):
    """A workspace of npm packages, with a user who has a token and nothing of the machine's own settings."""

    token: str
    programs: Path

    def environ(self) -> dict[str, str]:  # type: ignore[override]  # it needs the workspace
        """See `Workspace.environ`."""
        kept = {
            name: value for name, value in Workspace.environ().items() if not name.lower().startswith(("npm_", "pnpm_"))
        }
        home = self.root.parent / "home"
        home.mkdir(exist_ok=True)
        path = f"{os.environ['PATH']}{os.pathsep}{self.programs}"
        return kept | {"HOME": str(home), "NPM_TOKEN": self.token, "PATH": path}

    def npm(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run npm as the user would."""
        command = ["npm", *arguments, "--no-update-notifier", "--no-fund", "--no-audit"]
        done = subprocess.run(
            command, cwd=cwd or self.root, env=self.environ(), capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dist(self, package: str, version: str = VERSION) -> Path:
        """The file that was built of a package."""
        return (
            self.root
            / ".releasekit-dist"
            / package.replace("/", "+").replace(".", "%2E")
            / names.tarball_name(package, version)
        )


@pytest.fixture(scope="session")
def programs() -> Path:
    return verdaccio.install()


@pytest.fixture
def registry(tmp_path: Path, programs: Path) -> Iterator[Verdaccio]:
    with Verdaccio(tmp_path / "registry", programs) as registry:
        yield registry


@pytest.fixture
def aurora(tmp_path: Path, registry: Verdaccio, programs: Path) -> NpmWorkspace:
    """Four packages in a diamond, and a private one."""
    return make(tmp_path / "workspace", registry, programs, dict.fromkeys(REQUIRES, f"^{VERSION}"))


def make(root: Path, registry: Verdaccio, programs: Path, ranges: Mapping[str, str], **files: str) -> NpmWorkspace:
    """Write and commit it, with ranges for what the packages require, and more files."""
    members = [
        member(name, version=VERSION, main="index.js", dependencies={each: ranges[each] for each in requires})
        for name, requires in REQUIRES.items()
    ]
    members[0]["files"] = ["*.js"]
    members[0]["scripts"] = {
        "prepack": "node -e \"require('fs').writeFileSync('built.js', process.env.NPM_TOKEN || 'x')\""
    }
    workspace(root, *members, member("@aurora/hidden", private=True))
    for name, requires in REQUIRES.items():
        module = MODULE.format(names=", ".join([f"'{name}'", *(f"require('{each}')" for each in requires)]))
        write(root, {f"packages/{name.replace('/', '+')}/index.js": module})
    write(
        root,
        {
            ".npmrc": f"registry={registry.url}\n{registry.url.removeprefix('http:')}:_authToken=${{NPM_TOKEN}}\n",
            ".gitignore": ".releasekit-*\nnode_modules\nbuilt.js\n",
            "pyproject.toml": "[tool.releasekit]\njobs = 3\n",
            **files,
        },
    )
    demo_workspace.commit_all(root, "Four packages")
    return NpmWorkspace(root, registry.token, programs)


def require_published(aurora: NpmWorkspace, registry: Verdaccio) -> None:
    """Make sure that everything is there, once, with the recorded bytes, by the registry's own word."""
    assert set(aurora.statuses().values()) == {"published", "skipped"}
    assert sorted(registry.accepted()) == sorted(REQUIRES)
    for name, package in aurora.run().packages.items():
        if name in REQUIRES:
            (sha256,) = package.artifacts.values()
            data = registry.download(name, VERSION)
            assert hashlib.sha256(data).hexdigest() == sha256
            integrity = f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"
            assert registry.version(name, VERSION)["dist"]["integrity"] == integrity
    assert set(registry.versions()) == set(REQUIRES)


def test_a_whole_workspace_is_published_in_order_and_can_be_installed(
    aurora: NpmWorkspace, registry: Verdaccio, tmp_path: Path
) -> None:
    planned = aurora.releasekit("plan", "--index", "npm", "--json")
    assert planned.returncode == 0, planned.stderr
    plan = checked("plan", planned.stdout)
    assert [each["name"] for each in plan["packages"] if each["status"] == "pending"] == [
        "@aurora/core", "@aurora/net", "aurora.text", TOPMOST,
    ]  # fmt: skip

    inside = aurora.releasekit(*PUBLISH, "--report", "packages/aurora.text/x.html")
    assert (inside.returncode, registry.versions()) == (2, {})
    done = aurora.releasekit(*PUBLISH, "--report", ".releasekit-report.html")

    assert done.returncode == 0, done.stderr
    require_published(aurora, registry)
    order = registry.accepted()
    assert order[0] == "@aurora/core"
    assert order[-1] == TOPMOST

    user = write(tmp_path / "user", {"package.json": {"private": True}, ".npmrc": (aurora.root / ".npmrc").read_text()})
    aurora.npm("install", TOPMOST, cwd=user)
    told = subprocess.run(
        ["node", "-p", f"require('{TOPMOST}').join()"], cwd=user, capture_output=True, text=True, check=True
    )
    assert set(told.stdout.strip().split(",")) == set(REQUIRES)
    assert (user / "node_modules/@aurora/core/built.js").read_text() == "x"  # and not the token

    for command in (
        ("status",),
        ("status", "--json"),
        ("history", "--json"),
        ("report",),
        ("diagram", "--package", TOPMOST),
    ):
        shown = aurora.releasekit(*command)
        assert shown.returncode == 0, shown.stderr
    assert TOPMOST in (aurora.root / ".releasekit-report.html").read_text()

    again = aurora.releasekit(*PUBLISH)
    assert again.returncode == 0
    assert sorted(registry.accepted()) == sorted(REQUIRES)
    assert aurora.releasekit("clean").returncode == 0
    assert not (aurora.root / ".releasekit-dist").exists()


def test_what_is_there_already_is_skipped_by_a_new_run(aurora: NpmWorkspace, registry: Verdaccio) -> None:
    assert aurora.releasekit(*PUBLISH, "--only", "@aurora/*", "--exclude", TOPMOST).returncode == 0
    assert set(registry.versions()) == {"@aurora/core", "@aurora/net"}
    aurora.releasekit("clean")

    told = aurora.releasekit(*PUBLISH, "--dry-run")
    assert "version 1.0.0 is already on npm" in told.stdout
    assert aurora.releasekit(*PUBLISH).returncode == 0

    assert aurora.state()["packages"]["@aurora/core"]["reason"] == "version 1.0.0 is already on npm"
    assert sorted(registry.accepted()) == sorted(REQUIRES)


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        *(("building", 0.0), ("building", 0.7), ("publishing", 0.0), ("publishing", 0.6), ("publishing", 1.0)),
        *(("verifying", 0.0), ("verifying", 0.4), ("published", 0.0)),
    ],
)
def test_a_release_that_is_killed_goes_on_and_publishes_each_once(
    aurora: NpmWorkspace, registry: Verdaccio, status: str, seconds: float
) -> None:
    killed = aurora.killed_at(status, seconds, *PUBLISH)
    assert killed.returncode == -9
    before = aurora.recorded()

    done = aurora.releasekit(*PUBLISH)

    assert done.returncode == 0, done.stderr
    assert before.items() <= aurora.recorded().items()
    require_published(aurora, registry)


def test_a_run_that_has_lost_its_files_recognises_what_is_there(aurora: NpmWorkspace, registry: Verdaccio) -> None:
    assert aurora.releasekit(*PUBLISH).returncode == 0
    shutil.rmtree(aurora.root / ".releasekit-dist")

    again = aurora.releasekit(*PUBLISH)

    assert again.returncode == 0, again.stderr
    require_published(aurora, registry)


def refused(aurora: NpmWorkspace, registry: Verdaccio) -> None:
    """Have everything built and recorded, and nothing sent: the registry does not know who it is."""
    stranger = NpmWorkspace(aurora.root, "nobody", aurora.programs)
    done = stranger.releasekit(*PUBLISH)
    assert done.returncode == 1
    assert "_authToken=${NPM_TOKEN}" in done.stdout
    assert registry.versions() == {}
    assert aurora.statuses()["@aurora/core"] == "failed"


def test_a_version_that_somebody_else_has_sent_with_the_same_bytes_is_adopted(
    aurora: NpmWorkspace, registry: Verdaccio
) -> None:
    refused(aurora, registry)
    aurora.npm("publish", str(aurora.dist("@aurora/core")))

    assert aurora.releasekit(*PUBLISH).returncode == 0

    require_published(aurora, registry)


def test_a_version_that_somebody_else_has_sent_with_other_bytes_is_a_conflict(
    aurora: NpmWorkspace, registry: Verdaccio
) -> None:
    refused(aurora, registry)
    write(aurora.root, {"packages/@aurora+core/other.js": "other"})
    aurora.npm("publish", "--ignore-scripts", cwd=aurora.root / "packages/@aurora+core")
    aurora.root.joinpath("packages/@aurora+core/other.js").unlink()
    theirs = hashlib.sha256(registry.download("@aurora/core", VERSION)).hexdigest()
    (ours,) = aurora.run()["@aurora/core"].artifacts.values()

    told = aurora.releasekit(*PUBLISH, "--dry-run")
    assert told.returncode == 4
    done = aurora.releasekit(*PUBLISH)

    assert done.returncode == 4
    error = aurora.state()["packages"]["@aurora/core"]["error"]
    assert error.startswith(f"{E.INDEX_CONFLICT}: aurora-core-1.0.0.tgz is on npm with other content")
    assert f"Local: sha256={ours}, remote: sha256={theirs}" in error
    assert set(registry.versions()) == {"@aurora/core"}


def test_a_registry_that_is_gone_stops_the_release_and_it_goes_on_when_it_is_back(
    aurora: NpmWorkspace, registry: Verdaccio
) -> None:
    registry.stop()
    done = aurora.releasekit(*PUBLISH, "--retry-budget", "0")
    assert done.returncode == 1
    assert E.INDEX_UNREADABLE in done.stderr
    assert "ECONNREFUSED" in done.stderr
    registry.start()
    assert aurora.releasekit(*PUBLISH).returncode == 0
    require_published(aurora, registry)


def test_a_directory_takes_what_was_packed(aurora: NpmWorkspace, registry: Verdaccio) -> None:
    done = aurora.releasekit("publish", "--index", "./out")
    assert done.returncode == 0, done.stderr
    found = digests(aurora.root / "out")
    assert found == aurora.recorded()
    assert set(found) == {names.tarball_name(name, VERSION) for name in REQUIRES}
    assert registry.versions() == {}
    assert aurora.releasekit("publish", "--index", "./out", "--dry-run").returncode == 0


def test_files_from_elsewhere_are_refused(aurora: NpmWorkspace, tmp_path: Path) -> None:
    tmp_path.joinpath("wheels").mkdir()
    done = aurora.releasekit(*PUBLISH, "--wheels", str(tmp_path / "wheels"))
    assert done.returncode == 1
    assert E.WHEELS_REFUSED in done.stderr


def test_pnpm_writes_ranges_and_the_result_can_be_installed(
    tmp_path: Path, registry: Verdaccio, programs: Path
) -> None:
    ranges = dict(zip(REQUIRES, ("workspace:^", "workspace:*", "workspace:~", ""), strict=True))
    aurora = make(
        tmp_path / "workspace", registry, programs, ranges, **{"pnpm-workspace.yaml": "packages:\n  - packages/*\n"}
    )

    done = aurora.releasekit(*PUBLISH)

    assert done.returncode == 0, done.stderr
    require_published(aurora, registry)
    assert registry.version(TOPMOST, VERSION)["dependencies"] == {"@aurora/net": "1.0.0", "aurora.text": "~1.0.0"}
    user = write(tmp_path / "user", {"package.json": {"private": True}, ".npmrc": (aurora.root / ".npmrc").read_text()})
    aurora.npm("install", TOPMOST, cwd=user)
    assert (user / "node_modules/@aurora/core/index.js").exists()


def test_npm_does_not_write_ranges_and_nothing_is_sent(tmp_path: Path, registry: Verdaccio, programs: Path) -> None:
    aurora = make(tmp_path / "workspace", registry, programs, dict.fromkeys(REQUIRES, "workspace:^"))
    done = aurora.releasekit(*PUBLISH)
    assert done.returncode == 1
    assert E.REQUIREMENT_MISSING in done.stdout
    assert registry.versions() == {}


def test_a_version_before_a_release_waits_for_its_tag(aurora: NpmWorkspace, registry: Verdaccio) -> None:
    aurora.edit("packages/@aurora+core/package.json", '"1.0.0"', '"1.1.0-rc.1"')
    aurora.commit()
    only = (*PUBLISH, "--only", "@aurora/core")
    done = aurora.releasekit(*only)
    assert done.returncode == 1
    assert "nothing says which tag" in done.stdout
    assert registry.versions() == {}

    aurora.edit("packages/@aurora+core/package.json", '"name"', '"publishConfig": {"tag": "next"}, "name"')
    aurora.commit("Name the tag")
    assert aurora.releasekit(*only, "--fresh").returncode == 0

    told = registry.ask("@aurora%2Fcore")
    assert told["dist-tags"]["next"] == "1.1.0-rc.1"


def test_a_registry_of_a_package_is_asked_and_sent_to(aurora: NpmWorkspace, registry: Verdaccio) -> None:
    """The .npmrc names one where nothing is, and publishConfig the right one."""
    own = f'"publishConfig": {{"registry": "{registry.url}"}}, "name"'
    for name in REQUIRES:
        aurora.edit(f"packages/{name.replace('/', '+')}/package.json", '"name"', own)
    aurora.edit(".npmrc", f"registry={registry.url}", "registry=http://127.0.0.1:9/")
    aurora.commit()

    done = aurora.releasekit(*PUBLISH, "--retry-budget", "0")

    assert done.returncode == 0, done.stderr
    require_published(aurora, registry)
    assert registry.url.rstrip("/") in aurora.state()["index"]


@pytest.mark.skipif(not PROC.joinpath("self/cmdline").exists(), reason="there is no /proc")
@pytest.mark.parametrize("way", ["variable", "file"])
def test_a_token_is_found_nowhere(aurora: NpmWorkspace, registry: Verdaccio, way: str) -> None:
    canary = f"npm_{hashlib.sha256(os.urandom(9)).hexdigest()[:36]}"
    wrong = NpmWorkspace(aurora.root, canary, aurora.programs)
    right = aurora
    if way == "file":
        right = NpmWorkspace(aurora.root, "", aurora.programs)
        host = registry.url.removeprefix("http:")
        aurora.edit(".npmrc", f"{host}:_authToken=${{NPM_TOKEN}}", "")
        aurora.commit()
        npmrc = Path(right.environ()["HOME"], ".npmrc")
        npmrc.write_text(f"{host}:_authToken={canary}\n")
    told = []
    with Watcher() as watcher:
        told.append(wrong.releasekit(*PUBLISH, "--log-level", "debug"))
        assert told[0].returncode == 1
        if way == "file":
            npmrc.write_text(f"{host}:_authToken={registry.token}\n")
        told += [right.releasekit(*PUBLISH, "--log-level", "debug"), right.releasekit("history", "--json")]
    assert told[1].returncode == 0

    words = [canary, registry.token]
    shown = {f"output {n}": each.stdout + each.stderr for n, each in enumerate(told)}
    shown |= {f"argv {n}": line.decode(errors="replace") for n, line in enumerate(watcher.seen)}
    for path in aurora.root.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            shown[str(path)] = path.read_text(errors="replace")
    assert any("publish" in text for place, text in shown.items() if place.startswith("argv"))
    assert [place for place, text in shown.items() if any(word in text for word in words)] == []


def test_a_token_in_what_npm_prints_is_blanked_out(aurora: NpmWorkspace) -> None:
    script = "console.error('said ' + process.env.OTHER_TOKEN); process.exit(1)"
    write(
        aurora.root,
        {"packages/aurora.text/package.json": member("aurora.text", scripts={"prepack": f'node -e "{script}"'})},
    )
    aurora.commit()
    done = aurora.releasekit(*PUBLISH, environ={"OTHER_TOKEN": "canary-token-1"})
    assert done.returncode == 1
    assert f"said {REDACTED}" in done.stdout + aurora.state()["packages"]["aurora.text"]["error"]
    assert "canary-token-1" not in done.stdout + done.stderr


def bundled(module: str) -> Path:
    """Find a library that npm brings."""
    root = subprocess.run(["npm", "root", "--global"], capture_output=True, text=True, check=True).stdout.strip()
    found = Path(root, "npm", "node_modules", *module.split("/"))
    if not found.exists():
        pytest.skip(f"this npm does not bring {module}")
    return found


def node(script: str, *arguments: str, cwd: Path) -> Any:  # noqa: ANN401  # any JSON
    done = subprocess.run(["node", "-e", script, *arguments], cwd=cwd, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


RANGES: Final = (
    *(
        "*",
        "",
        "x",
        "1",
        "1.x",
        "1.2",
        "1.2.x",
        "1.2.3",
        "=1.2.3",
        "v1.2.3",
        "^1.2.3",
        "^0.2.3",
        "^0.0.3",
        "^1.x",
        "^0",
    ),
    *("~1.2.3", "~1", "~0.2", ">1.2.3", ">=1.2", "<2", "<=1.2", ">=1.0.0 <2.0.0", ">= 1.0.0  < 2.0.0", "1.2.3 - 2.3"),
    *("1.0.0 - 1.2.9", "^1.2.3 || ^3", "1 || 2.x", "^1.2.3-rc.1", ">=1.2.3-rc.1", "~1.2.3-rc.1", "^0.0.0", "<1.0.0-0"),
    *("~> 1.2", "^ 1.2.3", "latest", "1.2.3.4", "git+https://h/x.git", ">=1.2.3-rc.1 <1.2.4", "<0.0.0-0", "||"),
    "1.2.3 || latest",
)
VERSIONS: Final = (
    *(
        "0.0.0",
        "0.0.3",
        "0.0.4",
        "0.2.3",
        "0.2.9",
        "0.3.0",
        "1.0.0",
        "1.2.0",
        "1.2.3",
        "1.2.4",
        "1.3.0",
        "2.0.0",
        "2.3.9",
    ),
    *("3.1.0", "1.2.3-rc.1", "1.2.3-rc.2", "1.2.4-rc.1", "2.0.0-0", "0.0.0-0", "1.0.0-alpha", "0.0.3-beta"),
)
OFF: Final = {("<2", "2.0.0-0"), ("<1.0.0-0", "1.0.0-alpha"), ("<0.0.0-0", "0.0.0-0")}
"""Where the library takes a version before a release for lower than such a bound, and npm does not."""


@pytest.mark.skipif(not shutil.which("npm"), reason="there is no npm")
def test_ranges_are_read_as_npm_reads_them(tmp_path: Path) -> None:
    script = """
    const semver = require(process.argv[1]);
    const [ranges, versions] = JSON.parse(process.argv[2]);
    const fits = r => semver.validRange(r) === null ? null : versions.map(v => semver.satisfies(v, r));
    console.log(JSON.stringify(ranges.map(fits)));
    """
    theirs = node(script, str(bundled("semver")), json.dumps([RANGES, VERSIONS]), cwd=tmp_path)
    wrong = []
    for wanted, expected in zip(RANGES, theirs, strict=True):
        spec = names.range_of(wanted)
        if spec is None:  # not looked at, which is always right
            continue
        ours = [names.fits(version, spec) for version in VERSIONS]
        if wanted in {"*", "", "x"}:
            assert all(ours)  # npm install takes what there is
        elif expected != ours:
            pairs = zip(VERSIONS, ours, expected or ours, strict=True)
            wrong += [(wanted, version) for version, our, their in pairs if our is not their]
    assert set(wrong) == OFF


PLACES: Final = (
    *("packages/a", "packages/b", "packages/.hidden", "packages/a/node_modules/x", "packages/deep/er/c", "apps/web"),
    *("tools", "packages/a/test/fixture", "node_modules/y", "packages/bower_components/z"),
)
PATTERNS: Final = (
    *(["packages/*"], ["./packages/*"], ["/packages/*"], ["packages/*/"], ["packages/.hidden"], ["packages/.*"]),
    *(["packages/**"], ["{packages,apps}/*"], ["packages/@(a|c)"], ["packages/[ab]"], ["packages/?"], ["**"], ["**/c"]),
    *(["tools"], ["*"], ["packages/*", "!packages/b"], ["!packages/b", "packages/*"], ["packages/**", "!**/test/**"]),
    *(["packages/**", "!packages/deep"], ["packages/b", "packages/*"], ["packages/a", "!packages/*", "packages/b"]),
    *(["packages/**", "!packages/**"], ["nothing/*"], ["!packages/b", "packages/b"]),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {f"{place}/package.json": member(f"p{n}") for n, place in enumerate(PLACES)}
    return write(tmp_path / "tree", {"package.json": {"name": "root", "version": VERSION}, **files})


@pytest.mark.skipif(not shutil.which("npm"), reason="there is no npm")
@pytest.mark.parametrize("given", PATTERNS, ids=" ".join)
def test_patterns_find_what_they_find_for_npm(tree: Path, given: list[str]) -> None:
    script = """
    const map = require(process.argv[1]), workspaces = JSON.parse(process.argv[2]);
    map({cwd: process.cwd(), pkg: {name: 'root', workspaces}}).then(
        found => [...found.values()].map(place => require('path').relative(process.cwd(), place))
    ).then(places => console.log(JSON.stringify(places)));
    """
    theirs = node(script, str(bundled("@npmcli/map-workspaces")), json.dumps(given), cwd=tree)
    assert sorted(patterns.find(str(tree), given, of_npm=True)) == sorted(theirs)


OF_PNPM: Final = [given for given in PATTERNS if not any(each.startswith("/") or "@(" in each for each in given)]


@pytest.mark.parametrize("given", OF_PNPM, ids=" ".join)
def test_patterns_find_what_they_find_for_pnpm(tree: Path, programs: Path, given: list[str]) -> None:
    write(tree, {"pnpm-workspace.yaml": json.dumps({"packages": given})})
    command = [str(programs / "pnpm"), "list", "--recursive", "--depth", "-1", "--json"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    theirs = {os.path.relpath(each["path"], tree) for each in json.loads(done.stdout)} - {"."}
    assert sorted(patterns.find(str(tree), given, of_npm=False)) == sorted(theirs)
