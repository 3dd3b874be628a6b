# SPDX-License-Identifier: Apache-2.0
"""The shape of the Python package: imports between rooms go one way, modules form no circle, functions are short."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "orchestrator"
ROOMS = (
    *("errors", "registry", "extensions", "words", "files", "schema", "build", "trace", "machine", "attest", "shell"),
    "testbed",
    *("models", "runs", "protect", "service", "privacy", "experiment", "analysis", "report", "cli"),
)
"""From the ground up: a room imports those before it, for types as well (docs/architecture.md has the picture)."""
LONGEST = 45  # lines of a function from its `def`, docstring included


def name_of(path: Path, top: Path) -> str:
    parts = path.relative_to(top.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(top: Path) -> dict[str, ast.Module]:
    return {name_of(path, top): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(top.rglob("*.py"))}


def imports(tree: ast.AST, known: set[str], package: str, *, for_types: bool) -> Iterator[str]:
    """Modules of the package that a module imports, where it is read or in a function; `for_types` those as well."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.If) and not for_types and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped.update(each for part in node.body for each in ast.walk(part))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package:
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if below in known else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def graph(top: Path, *, for_types: bool) -> dict[str, set[str]]:
    trees = modules(top)
    known = set(trees)
    return {
        name: set(imports(tree, known, top.name, for_types=for_types)) - {name, top.name}
        for name, tree in trees.items()
    }


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Some modules that import each other in a ring; none if there is no ring."""
    done: set[str] = set()

    def look(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(edges.get(name, ())):
            if found := look(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(edges) if (found := look(name, []))), [])


def upward(edges: dict[str, set[str]]) -> list[str]:
    """Imports of a room that stands above the importing one."""
    place = {room: number for number, room in enumerate(ROOMS)}

    def room(name: str) -> int:
        return place[name.split(".")[1]]

    return [
        f"{name} -> {other}"
        for name, others in sorted(edges.items())
        for other in sorted(others)
        if "." in name
        if room(other) > room(name)
    ]


def long_functions(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST:
                found.append(f"{node.name}: {lines} lines")
    return found


def test_every_room_has_its_place() -> None:
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found - {"__init__"} == set(ROOMS)


def test_rooms_import_what_stands_before_them() -> None:
    assert upward(graph(PACKAGE, for_types=True)) == []


def test_no_modules_import_each_other() -> None:
    assert circle(graph(PACKAGE, for_types=False)) == []


@pytest.mark.parametrize("top", ["orchestrator", "tests", "benchmarks", "workloads"])
def test_no_function_is_longer_than_a_screen(top: str) -> None:
    found = {
        str(path.relative_to(ROOT)): long
        for path in sorted((ROOT / top).rglob("*.py"))
        if (long := long_functions(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


# --- the checks themselves see what they are for ---


def plant(top: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = top / "orchestrator" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    return top / "orchestrator"


def test_a_circle_is_seen_through_a_function(tmp_path: Path) -> None:
    top = plant(
        tmp_path,
        {
            "build/a.py": "from orchestrator.build import b\n",
            "build/b.py": "def f():\n    from orchestrator.build.c import g\n",
            "build/c.py": "import orchestrator.build.a\n",
        },
    )
    assert len(circle(graph(top, for_types=False))) == 4


def test_an_upward_import_for_types_is_seen(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from orchestrator.report.page import Page\n"
    top = plant(tmp_path, {"analysis/a.py": text, "report/page.py": "Page = 1\n"})
    assert upward(graph(top, for_types=True)) == ["orchestrator.analysis.a -> orchestrator.report.page"]
    assert upward(graph(top, for_types=False)) == []


def test_a_long_function_is_seen() -> None:
    text = "def f():\n" + "    pass\n" * LONGEST
    assert long_functions(ast.parse(text)) == [f"f: {LONGEST + 1} lines"]


@pytest.mark.parametrize("top", ["benchmarks", "tests/conformance", "tests/soak", "tests/emulator", "workloads"])
def test_what_is_not_run_here_imports_what_there_is(top: str) -> None:
    """Benchmarks and soaks have no other test: a name that moved would be found by whoever runs them."""
    missing = []
    for path in sorted((ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("orchestrator"):
                missing += [f"{path.name}: {node.module}.{each.name}" for each in node.names if not there(node, each)]
    assert missing == []


def there(node: ast.ImportFrom, name: ast.alias) -> bool:
    try:
        module = importlib.import_module(str(node.module))
        return hasattr(module, name.name) or importlib.import_module(f"{node.module}.{name.name}") is not None
    except ModuleNotFoundError:
        return False
