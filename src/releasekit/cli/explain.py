"""`releasekit explain`: what an error code means and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from releasekit.errors import E

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPLANATIONS: Final[Mapping[E, str]] = {
    E.BUILD_FAILED: (
        "`uv build`, `npm pack` or a script that it runs, or the package's own build command ended with an error; what "
        "it printed is in the message. As long as a build fails nothing more is uploaded, unless --no-gate is given; "
        "what is uploaded already stays. Mend the package. If that takes a new commit, start over with --fresh: what "
        "is on the index already is found there; else run the same command again."
    ),
    E.BUILD_INCOMPLETE: (
        "The build of a Python package must give exactly one sdist and at least one wheel, that of an npm package its "
        "one .tgz, of the version in the plan if that has one; one that a verify command looks for, any file. Check "
        "the build backend or command, and where it takes the version from. What a run has recorded and then lost must "
        "be built again in full: wheels that were built elsewhere are given again with --wheels."
    ),
    E.BUILD_MISMATCH: (
        "What a built file says of itself in its metadata (METADATA in a wheel, PKG-INFO in an sdist, package.json in "
        "a .tgz) is not what its name, the plan or the other files of the package say: another name, another version, "
        "other tags. Installers and indexes refuse such files, or worse, they don't. Look where the build backend "
        "takes name and version from. A version from git's tags that has changed since the package was first built "
        "means that tags were made or fetched meanwhile: start over with --fresh."
    ),
    E.BUILD_TIMEOUT: (
        "A build took longer than --build-timeout allows, and was killed with everything that it had started. Find "
        "out what it waits for (the network? an input?), or give it more time."
    ),
    E.CONFIG_INVALID: (
        "[tool.releasekit] in pyproject.toml has a key that is not known, or a value that is not what the option "
        "takes. The root's keys are the options of `releasekit publish`, without the dashes; --fresh, --dry-run and "
        "--json are for one call only. A member's are those that speak of one package: its timeouts, retry-budget, "
        "allow-dirty, exclude and steps. `releasekit plan --json` shows every value and where it comes from."
    ),
    E.DEMO_DIRECTORY: (
        "The demo makes its own directory and refuses one that has anything in it. Choose another with --to, or "
        "remove it."
    ),
    E.DEMO_FAILED: ("A check at the end of the demo did not hold. Please report it, with what it printed."),
    E.DIAGRAM_FORMAT: (
        "The suffix of the file chooses the format: .dot, .svg, .png or .mmd (Mermaid). With another suffix, or none, "
        "choose it by --format: dot, svg, png or mermaid."
    ),
    E.FILE_FAILED: (
        "A file could not be written or read: no space, no permission, or a broken disk. The state of the run is "
        "kept; mend the disk and run the same command again."
    ),
    E.GIT_DIRTY: (
        "A package that is to be released has changes that are not committed, so what is built would not be what the "
        "commit says. Commit or undo them; --allow-dirty releases them all the same. Ignored files don't count, nor do "
        "releasekit's own."
    ),
    E.GIT_FAILED: (
        "A release belongs to a commit, so the workspace must be in a git repository with at least one commit, "
        "and the program git on PATH."
    ),
    E.GIT_SHALLOW: (
        "A package's version is made of git's tags and of the commits since, by a tool that its pyproject.toml asks "
        "for, or nothing there tells where it comes from; and the repository is a shallow clone, which has only some "
        "of them. The version would be wrong, and what is on an index can't be taken back. Run `git fetch "
        "--unshallow --tags` in the repository that the message names. In a GitHub workflow, give actions/checkout "
        "`fetch-depth: 0`."
    ),
    E.GRAPHVIZ_MISSING: (
        "SVG and PNG are drawn by Graphviz: install the extra `releasekit[diagrams]`, which carries it, or put "
        "the program `dot` on PATH. .dot and .mmd need neither."
    ),
    E.INDEX_CONFLICT: (
        "The index shows a file of this name with another sha256 than ours, or a verify command ended with 4. One name "
        "must have one content for ever, so nothing is overwritten and nothing is tried again. Find out who published "
        "that file; usually the answer is a new version. What requires the package is held until then. If the index is "
        "mended, `releasekit retry PACKAGE` has the next run try again; if theirs is right, `releasekit skip PACKAGE` "
        "after that leaves it out. A run that begins anew remembers the conflict."
    ),
    E.INDEX_UNKNOWN: (
        "--index takes the name of a [[tool.uv.index]] in the workspace's pyproject.toml (of an [[index]] in its "
        "uv.toml, if it has one) that has a url and a publish-url; or `pypi`; or a directory, which is written with a "
        "slash unless it exists already. For an npm workspace it takes `npm`, which is the registry that npm itself "
        "would use there, or a directory."
    ),
    E.INDEX_UNREADABLE: (
        "The index, or the verify command that stands for it, was asked which files are there, and gave no usable "
        "answer. Check its url, the network and the credentials for reading. Nothing is sent to an index that can't be "
        "read back."
    ),
    E.NPM_MISSING: (
        "npm workspaces are packed and published by the program npm, those with a pnpm-workspace.yaml are packed by "
        "pnpm. Put it on PATH: npm comes with Node.js, pnpm with `npm install --global pnpm` or corepack."
    ),
    E.PUBLISH_FAILED: (
        "The upload was refused or did not get through; what uv, npm, a publish command or the system said is in the "
        "message. The next run asks the index first and sends only what is missing."
    ),
    E.PUBLISH_PARTIAL: (
        "The index took some files of the package, or may have, and not the others; what it said is in the message. "
        "The next run sends what is missing, with the same bytes."
    ),
    E.PUBLISH_TIMEOUT: (
        "An upload took longer than --upload-timeout allows, and was killed. The index may have the files all the "
        "same: the next run asks it first, and sends only what is missing."
    ),
    E.PUBLISHED_MISSING: (
        "The index does not show a file that an earlier process of this run saw there. It may lag, or the file "
        "was removed. Nothing is published on top of it before that is clear."
    ),
    E.REBUILT_DIFFERS: (
        "Files that may have been sent were lost before the index showed them, and the build gave other bytes: it is "
        "not reproducible. To send these could give one name two contents. Wait until the index shows the first ones "
        "and run the same command again, put the files back into .releasekit-dist, or choose a new version. Only if "
        "you know that the index never got them: `releasekit clean --force` forgets them."
    ),
    E.REQUIREMENT_MISSING: (
        "A package that is to be published requires another one of the workspace in a version that nobody could "
        "install: it is not in this run, and the index does not have it. Or it is in this run, but when the run began "
        "nothing said so: what only a build tells is read from uv.lock, and that is old. Nothing was uploaded. Release "
        "what is required too, mend the requirement, or have uv.lock written anew (`uv lock --refresh-package NAME`, "
        "since a plain `uv lock` may not build again), commit it, and start over with --fresh. In an npm package it "
        "may also be what only its workspace understands, like `workspace:^` packed by npm, or `file:../core`: write a "
        "range of versions, or have pnpm pack it."
    ),
    E.SELECTION_EMPTY: (
        "A pattern of --only or --exclude matches no package. It may be mistyped, and what was to be left out would "
        "be published. `releasekit plan` lists the names. In a pattern `*` stands for any characters; quote it, or the "
        "shell may expand it."
    ),
    E.STATE_CLOSED: (
        "A `RunStore` was used after `close`, or in a process that was forked off while it was open. Open the run "
        "again."
    ),
    E.STATE_CORRUPTED: (
        "The state file or the journal is not one that releasekit wrote, or it was changed so that it can't be "
        "trusted; the message says where. Restore it from a copy, or start over with --fresh: the old files are kept "
        "aside, and what is already on the index is found there."
    ),
    E.STATE_EXISTS: (
        "`RunStore.create` begins a run and found one, or `RunState.save` would have written a state file that the "
        "journal beside it makes void. Open that run, or move its files aside."
    ),
    E.STATE_ILLEGAL_TRANSITION: (
        "The lifecycle does not allow this trigger in the package's status; the message lists what it allows. "
        "`releasekit diagram --lifecycle` draws all of it."
    ),
    E.STATE_INVALID_VALUE: (
        "A value that no run could have: an empty name, a negative number, a digest that is no sha256."
    ),
    E.STATE_LOCKED: (
        "Another process is at work on this run. The lock is the operating system's: it is free as soon as that "
        "process ends, however it ends. Don't delete the lock file."
    ),
    E.STATE_NO_HISTORY: (
        "The run has no journal: its state file is of another tool, or it was saved without an open run. From the "
        "moment that `releasekit publish` goes on with it, what happens is recorded."
    ),
    E.STATE_NOT_DURABLE: (
        "The state could not be written to disk, so the run stopped: nothing is uploaded that is not recorded "
        "first. Mend the disk and run the same command again: it goes on from what was written."
    ),
    E.STATE_NOT_FOUND: ("There is no run in this directory. `releasekit publish` begins one."),
    E.STATE_PACKAGE_EXISTS: ("A package can be declared once in a run."),
    E.STATE_PLAN_MISMATCH: (
        "The unfinished run was begun with other packages, versions, requirements or another index. Undo the "
        "change to finish it, or start over with --fresh."
    ),
    E.STATE_SHA_MISMATCH: (
        "The unfinished run belongs to another commit. Check that commit out to finish it, or start over with "
        "--fresh: what is on the index already is found there."
    ),
    E.STATE_TRACKED: (
        "The state file is in git. Whoever can commit could then mark packages as published. Untrack it and add "
        "`.releasekit-*` to .gitignore."
    ),
    E.STATE_UNFINISHED: (
        "Something is left to do of the run whose files `releasekit clean` was to remove. `releasekit publish` goes "
        "on with it; `releasekit clean --force` gives it up, and forgets what it may have sent."
    ),
    E.STATE_UNKNOWN_PACKAGE: ("The run has no package of that name. `releasekit status` lists them."),
    E.UV_MISSING: ("releasekit builds and uploads with uv. Install it with `pip install uv`."),
    E.VERIFY_TIMEOUT: (
        "Everything was sent, but the index did not show it in time. Large indexes lag for minutes. Run the same "
        "command again: what is there is not sent twice. --verify-timeout sets the patience."
    ),
    E.VERSION_LOCAL: (
        "A package took a version like 1.2.dev3+g4f2a9c1 from git, as it does where the commit has no tag or something "
        "is not committed. Package indexes take no version with a +, so nothing was sent. Release from the commit "
        "that is tagged, fetch the tag if it is missing, or have the tool leave out the local part. A directory takes "
        "such versions."
    ),
    E.WHEELS_REFUSED: (
        "A file in the directory that --wheels names can't be published with this workspace: it is no wheel or sdist, "
        "is of another package or version, is no regular file, or says in its metadata that it is something else; "
        "or this run or an earlier one has recorded other files, which stand. Nothing of it was sent. Remove the file "
        "from the directory, or build it again from this commit. A run that has begun does not need --wheels any more, "
        "unless its own copies are lost."
    ),
    E.WORKSPACE_CYCLE: (
        "Packages require each other in a circle, at run time or to be built, so none can be published first. The "
        "message shows the circle; make one of its requirements optional, or merge packages. What only extras and "
        "dependency groups ask for makes no circle: `releasekit plan` notes where it is not waited for."
    ),
    E.WORKSPACE_INVALID: (
        "A pyproject.toml, uv.toml, uv.lock, package.json or pnpm-workspace.yaml is not what it should be, or what a "
        "release needs is known only after a build; the message names the file and the key. Dynamic dependencies are "
        "taken from uv.lock, which `uv lock` writes."
    ),
    E.WORKSPACE_NOT_FOUND: (
        "There is no workspace of uv, npm or pnpm in that directory: no pyproject.toml and no package.json, or no "
        "package in it."
    ),
}


@click.command("explain")
@click.argument("code", required=False)
def command(*, code: str | None) -> None:
    """Explain an error code.

    Every error message of releasekit begins with its code, like RK-STATE-LOCKED. Without a code, all are listed.
    """
    if code is None:
        for each in E:
            click.echo(f"{each}\n{click.wrap_text(EXPLANATIONS[each], 100, '    ', '    ')}")
        return
    wanted = code.upper().replace("_", "-").removeprefix("RK-").removeprefix("E.")
    known = next((known for known in E if known == f"RK-{wanted}"), None)
    if known is None:
        raise click.BadParameter(f"{code!r} is no error code; `releasekit explain` lists them", param_hint="CODE")
    click.echo(f"{known}\n")
    click.echo(click.wrap_text(EXPLANATIONS[known], width=100))
