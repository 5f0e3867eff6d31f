from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit import PackageStatus, RunState
from releasekit.cli import output
from releasekit.cli.output import next_step
from releasekit.errors import E
from releasekit.report import words
from releasekit.report.table import View
from releasekit.report.words import note
from releasekit.state import graph

if TYPE_CHECKING:
    import pytest


def run(**errors: str) -> RunState:
    state = RunState("0" * 40)
    for name, error in errors.items():
        package = state.init_package(name, requires=[r for r in errors if r < name])
        if error:
            package.start_building()
            package.fail(error)
    return state


def test_a_note_is_one_line_and_says_why() -> None:
    state = run(a="first\nsecond", b="x" * 500, c="", d="")
    held = graph.held(state.packages)

    assert note(state["a"], state, held) == "first second"
    assert len(note(state["b"], state, held)) == words.NOTE_WIDTH + 2
    assert note(state["c"], state, held) == "blocked by a, b"
    state["c"].skip("not wanted")
    assert note(state["c"], state, held) == "not wanted"


def test_a_note_of_a_tools_output_is_its_last_cause() -> None:
    printed = (
        "uv build of 'a' failed:\nBuilding wheel...\nerror: it failed\n  cause: no module\nsee the log\n  hint: mend it"
    )
    state = run(a=f"{E.BUILD_FAILED}: {printed}", b=f"{E.BUILD_FAILED}: failed:\nno luck")

    assert note(state["a"], state, {}) == "RK-BUILD-FAILED: cause: no module"
    assert note(state["b"], state, {}) == "RK-BUILD-FAILED: no luck"


def test_a_package_that_only_says_a_code_did_not_fail_of_it() -> None:
    state = run(
        a=f"{E.BUILD_FAILED}: setup.py printed {E.INDEX_CONFLICT}: hello", b=f"{E.INDEX_CONFLICT}: {'x' * 99_999}"
    )

    assert words.conflicts_of(state) == ["b"]


def test_a_built_package_that_was_held_says_so() -> None:
    state = run(a="", b="")
    for name in state:
        state[name].start_building()
        state[name].record_artifacts({"f": "0" * 64})
        state[name].recover()

    assert note(state["a"], state, {}) == "built"
    assert note(state["b"], state, {}) == "built; waits for a"


def test_a_waiting_package_names_what_it_waits_for() -> None:
    state = run(a="", b="")

    assert note(state["a"], state, {}) == ""
    assert note(state["b"], state, {}) == "waits for a"


def test_an_error_of_nothing_but_newlines_is_no_crash() -> None:
    state = run(a="\n\n")

    assert note(state["a"], state, {}) == ""


def test_the_next_step_fits_what_is_there() -> None:
    assert next_step(run(), at_rest=True).startswith("next: nothing.")
    assert next_step(run(a=""), at_rest=True).startswith("next: run the same `releasekit publish`")
    assert "next: mend the errors of a, b" in next_step(run(a="broken", b="broken", c=""), at_rest=True)
    assert "next: decide about b" in next_step(run(a="broken", b="RK-INDEX-CONFLICT: it is"), at_rest=True)

    working = run(a="")
    working["a"].start_building()
    assert next_step(working, at_rest=False).startswith("next: wait.")
    assert next_step(working, at_rest=True).startswith("next: run the same")


def test_counts_follow_the_lifecycle() -> None:
    state = run(a="", b="broken")
    state.init_package("s", status=PackageStatus.SKIPPED, reason="private")

    assert words.counts(state) == "3 packages: 1 pending, 1 skipped, 1 failed"
    assert words.counts(RunState("")) == "0 packages: none"


def test_of_many_failures_one_of_each_kind_is_told_and_how_many_there_are_besides(
    capsys: pytest.CaptureFixture[str],
) -> None:
    many = {f"p{number:03}": f"{E.BUILD_FAILED}: no luck" for number in range(100)}

    output.print_run(View(run(**many | {"z": f"{E.PUBLISH_FAILED}: 403"})))

    told = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.endswith((" failed:", "say."))]
    assert told == ["p000", "p001", "p002", "p003", "p004", "p005", "p006", "p007", "p008", "z", "91"]
    output.print_run(View(run(**dict(list(many.items())[:10]))))
    assert "more failed" not in capsys.readouterr().out


def test_a_command_can_be_pasted_into_a_shell() -> None:
    assert output.command_line("publish", "my dir", "--index", "$x") == "releasekit publish 'my dir' --index '$x'"


def test_a_heading_says_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_heading(RunState("", created_at="2026-11-28T04:27:22+00:00"))

    assert capsys.readouterr().out == "commit unknown, index unknown, begun 2026-11-28T04:27:22+00:00\n\n"
