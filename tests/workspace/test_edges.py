from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from releasekit.errors import E
from releasekit.workspace import NoteKind
from releasekit.workspace.edges import connect
from releasekit.workspace.graph import CycleError
from releasekit.workspace.requirements import Requirements, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.workspace.trees import Tree

    from releasekit.workspace.edges import Edges


def asked(text: str) -> tuple[Wanted, ...]:
    """Read requirements like `b[x,y] c`."""
    pairs = (part.rstrip("]").partition("[") for part in text.split())
    return tuple(Wanted(name, tuple(filter(None, extras.split(",")))) for name, _, extras in pairs)


def edges(graph: Mapping[str, str], build: Mapping[str, str] | None = None, private: str = "") -> Edges:
    """Connect members, each with what it asks for: `b c; extra: b; (group): d`."""
    wanted = {}
    for name, text in graph.items():
        runtime, *more = text.split(";")
        lists = {label.strip(): asked(some) for label, _, some in (part.partition(":") for part in more)}
        groups = {label: some for label, some in lists.items() if label.startswith("(")}
        extras = {label: some for label, some in lists.items() if label not in groups}
        wanted[name] = Requirements(asked(runtime), extras, groups)
    to_build = {name: asked(text) for name, text in (build or {}).items()}
    return connect(wanted, to_build, [name for name in graph if name not in private])


def required(found: Edges) -> dict[str, str]:
    return {name: " ".join(sorted(some)) for name, some in found.requires.items()}


def test_extras_and_groups_order_where_they_close_no_cycle() -> None:
    found = edges({"a": "; x: b; (dev): c", "b": "", "c": "b"})
    assert required(found) == {"a": "b c", "b": "", "c": "b"}
    assert found.levels == {"b": 0, "c": 1, "a": 2}
    assert found.dropped == {}


def test_an_extra_or_a_group_that_closes_a_cycle_is_dropped_and_named() -> None:
    found = edges({"core": "; all: a b c; (dev): tools", "a": "core", "b": "core", "c": "", "tools": "core"})
    assert required(found) == {"core": "c", "a": "core", "b": "core", "c": "", "tools": "core"}
    assert found.dropped == {"core": {"a": "extra all", "b": "extra all", "tools": "group (dev)"}}


def test_400_packages_that_all_ask_softly_for_each_other_are_ordered_in_time_that_grows_with_their_pairs() -> None:
    names = [f"p{number:03}" for number in range(400)]
    everything = tuple(Wanted(name) for name in names)
    begun = time.process_time()
    found = connect({name: Requirements((), {"all": everything}, {}) for name in names}, {}, names)
    assert time.process_time() - begun < 4  # 1 s on a quiet machine, and 6.5 s if a step is taken for each package too
    assert sum(map(len, found.dropped.values())) == 400 * 399 / 2


def test_groups_are_dropped_before_extras() -> None:
    for graph in ({"a": "; x: b", "b": "; (dev): a"}, {"b": "; (dev): a", "a": "; x: b"}):
        found = edges(graph)
        assert required(found) == {"a": "b", "b": ""}
        assert found.dropped == {"b": {"a": "group (dev)"}}


def test_what_an_extra_and_a_group_ask_for_is_dropped_once() -> None:
    assert edges({"a": "; x: b; (dev): b", "b": "a"}).dropped == {"a": {"b": "extra x"}}


def test_a_requirement_on_an_extra_is_one_on_all_that_it_asks_for_in_turn() -> None:
    found = edges({"top": "b[x]", "b": "; x: c[y] b[z]; z: d; w: e", "c": "; y: f top", "d": "", "e": "", "f": ""})
    assert required(found)["top"] == "b c d f"
    assert found.dropped == {"b": {"top": "extra x"}, "c": {"top": "extra y"}}


def test_extras_that_ask_for_each_other_end() -> None:
    assert required(edges({"a": "b[x]", "b": "; x: b[y]; y: b[x] c", "c": ""}))["a"] == "b c"


def test_a_package_that_asks_for_its_own_extra_requires_what_that_asks_for_and_not_itself() -> None:
    assert required(edges({"a": "; x: b; all: a[x]", "b": ""})) == {"a": "b", "b": ""}
    assert required(edges({"a": "a[x]; x: b", "b": ""})) == {"a": "b", "b": ""}
    assert edges({"a": "; x: b; all: a[x]", "b": "a"}).dropped == {"a": {"b": "extra x"}}


def test_an_extra_that_nobody_has_and_packages_from_elsewhere_are_no_edges() -> None:
    assert required(edges({"a": "b[nothing] attrs[x]; x: attrs", "b": ""})) == {"a": "b", "b": ""}


def test_nobody_waits_softly_for_what_is_not_released_and_that_for_nobody() -> None:
    found = edges({"a": "; (dev): p", "p": "a; x: b", "b": ""}, private="p")
    assert required(found) == {"a": "", "p": "a", "b": ""}
    assert found.dropped == {}


def test_build_requirements_come_first_in_both_orders_with_what_they_require() -> None:
    found = edges({"a": "", "tool": "lib", "lib": "base; x: other", "base": "", "other": ""}, {"a": "tool"})
    assert required(found)["a"] == "tool"
    assert found.building["a"] == {"tool", "lib", "base"}
    assert found.building["tool"] == set()
    assert found.levels["a"] == 3


def test_a_package_that_builds_itself_waits_for_nobody() -> None:
    assert edges({"a": ""}, {"a": "a"}).building["a"] == set()


@pytest.mark.parametrize(
    ("graph", "build", "told"),
    [
        ({"a": "b", "b": "a"}, {}, "a → b → a"),
        ({"a": "", "b": ""}, {"a": "b", "b": "a"}, "a → b (to build a) → a (to build b)"),
        ({"a": "", "b": "a"}, {"a": "b"}, "a → b (to build a) → a"),
        ({"a": "b", "b": "a"}, {"a": "b"}, "a → b → a"),
        ({"a": "b[x]", "b": "; x: c", "c": "a"}, {}, "a → c (for b[x]) → a"),
    ],
)
def test_a_cycle_that_can_not_be_dropped_is_refused_with_what_each_is_required_for(
    graph: Mapping[str, str], build: Mapping[str, str], told: str
) -> None:
    with pytest.raises(CycleError) as caught:
        edges(graph, build)
    assert caught.value.message.endswith(f": {told}")


@pytest.mark.parametrize(
    ("graph", "build", "private", "left"),
    [
        ({"a": "b", "b": "p", "p": "a"}, {}, "p", {"a": "b", "b": "p", "p": ""}),
        ({"a": "p", "b": "", "p": "q", "q": "p b"}, {}, "pq", {"a": "p", "b": "", "p": "", "q": ""}),
        ({"a": "", "p": "a"}, {"a": "p"}, "p", {"a": "p", "p": ""}),
    ],
)
def test_where_members_require_each_other_those_that_are_not_released_wait_for_nobody(
    graph: Mapping[str, str], build: Mapping[str, str], private: str, left: Mapping[str, str]
) -> None:
    found = edges(graph, build, private)
    assert required(found) == left
    assert all(name not in waits for name, waits in found.building.items())


def test_a_cycle_of_what_is_released_is_refused_whatever_else_is_left_out() -> None:
    with pytest.raises(CycleError, match="a → b → a"):
        edges({"a": "b p", "b": "a", "p": "a"}, private="p")


def test_what_is_dropped_is_noted(tree: Tree) -> None:
    tree.member("packages/a", "optional-dependencies.x = ['b', 'c']\n[dependency-groups]\ndev = ['d']")
    tree.requirers(b="a", c="a", d="a")
    loaded = tree.load()
    (note,) = loaded.notes
    assert (note.kind, note.package, note.requires) == (NoteKind.REQUIREMENTS_DROPPED, "a", ("b", "c", "d"))
    assert note.text == ("does not wait for b, c, d, asked for by its extra x, group dev: that would close a cycle")
    assert note.hint == ""
    assert loaded.packages["a"].requires == ()


def test_a_cycle_of_builds_is_refused_and_printed(tree: Tree) -> None:
    for one, other in ("ab", "ba"):
        tree.member(f"packages/{one}", more=f"[build-system]\nrequires = ['{other}']\n")
    assert tree.refusal(E.WORKSPACE_CYCLE).message.endswith(": a → b (to build a) → a (to build b)")


def test_what_is_built_before_a_package_is_told(tree: Tree) -> None:
    tree.member("packages/a", more="[build-system]\nrequires = ['tool>=1']\nbuild-backend = 'tool'\n")
    tree.requirers(tool="lib", lib="")
    a = tree.load().packages["a"]
    assert (a.requires, a.build_requires, a.level) == (("tool",), ("lib", "tool"), 2)
