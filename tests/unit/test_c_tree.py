# SPDX-License-Identifier: Apache-2.0
"""The shape of the C tree: no circle of modules, no function longer than a screen.

A module is X.c with X.h. It stands above another when it includes the other's header, or names a function or a variable
that the other defines: a circle may also hide behind one header of them all.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
NO_CIRCLE = ("guest", "images")
NO_LONG_FUNCTION = ("guest", "images", "tests")
LONGEST = 45  # lines, from the first of the signature to the closing brace

_LITERAL_OR_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\([^;{]*?\)\)")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
_FUNCTION_NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")
_VARIABLE_NAME = re.compile(r"([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)*(?:=.*)?$", re.DOTALL)
_ONLY_A_TYPE = re.compile(r"(?:struct|union|enum)\s+\w+$")
_NAMED = re.compile(r"(?<![\w.>])[A-Za-z_]\w*|(?<=[^-]>)[A-Za-z_]\w*")  # not a member: `.name`, `->name`


@dataclass(frozen=True)
class Definition:
    """A function or a variable at the outermost level of a file."""

    name: str
    line: int
    lines: int
    is_function: bool
    is_static: bool


# ---- Reading C ----------------------------------------------------------------------------------------------------


def _blank(found: re.Match[str]) -> str:
    """As many lines, and nothing on them; a literal stays a value."""
    return "0" if found[0][0] in "\"'" else re.sub(r"[^\n]+", " ", found[0])


def code_of(text: str) -> str:
    """C without comments, literals, directives and attributes, line for line."""
    for pattern in (_LITERAL_OR_COMMENT, _DIRECTIVE, _ATTRIBUTE):
        text = pattern.sub(_blank, text)
    return text


def _is_signature(head: str) -> bool:
    return head.rstrip().endswith(")") and "=" not in head


def _outermost(code: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and text, without what is in braces, of everything that stands at the outermost level."""
    depth, start, shell = 0, 0, ""
    for place, char in enumerate(code):
        depth -= char == "}"
        if depth < 0:
            raise ValueError(f"line {code.count(chr(10), 0, place) + 1}: a closing brace too many")
        if depth == 0:
            shell += char
            if char == ";" or (char == "}" and _is_signature(shell.partition("{")[0])):
                yield start, place + 1, shell
                start, shell = place + 1, ""
        depth += char == "{"
    if depth:
        raise ValueError("an open brace has no end")


def _variable(statement: str) -> re.Match[str] | None:
    """The match of its name, unless the statement is a type, a prototype or the call of a macro."""
    words = statement.split()
    if not words or {"extern", "typedef"} & set(words) or _ONLY_A_TYPE.search(statement):
        return None
    return None if statement.endswith(")") and "=" not in statement else _VARIABLE_NAME.search(statement)


def definitions(text: str) -> Iterator[Definition]:
    """What a file defines at its outermost level; raises ValueError where its braces do not match."""
    code = code_of(text)
    for start, end, shell in _outermost(code):
        head, brace, _ = shell.partition("{")
        is_function = bool(brace) and _is_signature(head)
        name = _FUNCTION_NAME.search(head) if is_function else _variable(shell.rstrip("; \n\t"))
        if name:
            first = end - len(code[start:end].lstrip())
            line = code.count("\n", 0, first) + 1
            yield Definition(name[1], line, code.count("\n", first, end) + 1, is_function, "static" in head.split())


# ---- The tree -----------------------------------------------------------------------------------------------------


def read_tree(root: Path, folders: tuple[str, ...]) -> dict[Path, str]:
    """Text of every C file of the folders, by its path below `root`."""
    paths = sorted(path for folder in folders for path in (root / folder).rglob("*.[ch]"))
    return {path.relative_to(root): path.read_text(encoding="utf-8") for path in paths}


def _included(tree: dict[Path, str], path: Path, name: str) -> list[Path]:
    """The files that an include may mean: the one at that place, else all of that name."""
    there = Path(os.path.normpath(path.parent / name))
    if there in tree:
        return [there]
    return [other for other in tree if f"/{other.as_posix()}".endswith(f"/{name}")]


def _definitions_of(tree: dict[Path, str]) -> dict[Path, list[Definition]]:
    found = {}
    for path, text in tree.items():
        try:
            found[path] = list(definitions(text))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return found


def modules_below(tree: dict[Path, str]) -> dict[Path, set[Path]]:
    """For each module those it stands on."""
    definitions_of = _definitions_of(tree)
    # By folder and name what other files of the folder can name: a folder is a program.
    defined = {
        (path.parent, one.name): path.with_suffix("")
        for path, found in definitions_of.items()
        for one in found
        if path.suffix == ".c" and not one.is_static
    }
    below: dict[Path, set[Path]] = {path.with_suffix(""): set() for path in tree}
    for path, text in tree.items():
        module = path.with_suffix("")
        includes = _INCLUDE.findall(_COMMENT.sub(_blank, text))
        below[module] |= {other.with_suffix("") for name in includes for other in _included(tree, path, name)}
        if path.suffix == ".c":
            names = set(_NAMED.findall(code_of(text))) - {one.name for one in definitions_of[path]}
            below[module] |= {defined[path.parent, name] for name in names if (path.parent, name) in defined}
        below[module].discard(module)
    return below


def circle(tree: dict[Path, str]) -> list[str]:
    """The modules of one circle, the first again at the end; empty where there is none."""
    try:
        TopologicalSorter(modules_below(tree)).prepare()
    except CycleError as error:
        return [module.as_posix() for module in error.args[1]]
    return []


def long_functions(tree: dict[Path, str]) -> list[str]:
    """FILE:LINE: FUNCTION of each that is too long."""
    return [
        f"{path}:{one.line}: {one.name}() has {one.lines} lines"
        for path, found in _definitions_of(tree).items()
        for one in found
        if one.is_function and one.lines > LONGEST
    ]


# ---- The project --------------------------------------------------------------------------------------------------


def project(roots: tuple[str, ...]) -> dict[Path, str]:
    tree = read_tree(ROOT, roots)
    assert all(any(path.is_relative_to(root) for path in tree) for root in roots)
    return tree


def test_the_project_has_no_circle_of_modules() -> None:
    assert circle(project(NO_CIRCLE)) == []


def test_no_function_of_the_project_is_longer_than_a_screen() -> None:
    assert long_functions(project(NO_LONG_FUNCTION)) == []


# ---- The scanner itself -------------------------------------------------------------------------------------------


def planted(tmp_path: Path, files: dict[str, str]) -> dict[Path, str]:
    for name, text in files.items():
        path = tmp_path / "guest" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_tree(tmp_path, ("guest",))


HEADER_OF_ALL = "int a(void);\nint b(void);\nextern int state;\nstruct shared { int (*a)(void); };\n"
CIRCLES = {
    "headers": {"a.h": '#include "b.h"\n', "b.h": '#include "a.h"\n'},
    "a header and a source": {"a.h": "", "a.c": '  #  include "b.h"\n', "b.h": "", "b.c": '#include "a.h"\n'},
    "three": {"a.c": '#include "b.h"\n', "b.h": '#include "c.h"\n', "c.h": "", "c.c": '#include "a.h"\n', "a.h": ""},
    "across folders": {"x/a.h": '#include "b.h"\n', "y/b.h": "", "y/b.c": '#include "../x/a.h"\n'},
    "calls behind one header": {
        "all.h": HEADER_OF_ALL,
        "a.c": '#include "all.h"\nint a(void)\n{\n\treturn b();\n}\n',
        "b.c": '#include "all.h"\nint b(void)\n{\n\treturn a();\n}\n',
    },
    "a function that is handed on": {
        "all.h": HEADER_OF_ALL,
        "a.c": '#include "all.h"\nint a(void)\n{\n\treturn state;\n}\n',
        "b.c": '#include "all.h"\nint state;\nconst struct shared all = { .a = a };\n',
    },
    "an array": {
        "a.c": "const int a[2] = { 1, 2 };\nint x(void) { return b(); }\n",
        "b.c": "int b(void) { return a[1]; }\n",
    },
}
STRAIGHT = {
    "one above the other": {"a.h": "", "a.c": '#include "a.h"\n', "b.c": '#include "a.h"\n', "b.h": '#include "a.h"\n'},
    "words": {
        "a.c": "int a(void)\n{\n\tprint(\"b(); }\"); /* b(); { */\n\treturn '}'; // b()\n}\n",
        "b.c": "#define B { a()\nint b(void)\n{\n\treturn 1;\n}\nint c = a();\n",
    },
    "an include that is a comment": {"a.h": '/*\n#include "b.h"\n*/\n', "b.h": '#include "a.h"\n'},
    "members": {"a.c": "int a(void) { return x->b + y.b; }\n", "b.c": "int b(void) { return a(); }\n"},
    "functions of their own": {
        "a.c": "static int help(void) { return 1; }\nint a(void) { return help(); }\n",
        "b.c": "int help(void) { return 2; }\nint b(void) { return a(); }\n",
    },
    "types": {
        "a.c": "typedef int thing;\nstruct other { int x; };\nint a(void) { return 0; }\n",
        "b.c": "extern thing other;\nint b(struct other *it) { return a(); }\n",
    },
    "programs apart": {"x/a.c": "int a(void) { return b(); }\n", "y/b.c": "int b(void) { return a(); }\n"},
}


@pytest.mark.parametrize("name", CIRCLES)
def test_a_circle_is_found(tmp_path: Path, name: str) -> None:
    found = circle(planted(tmp_path, CIRCLES[name]))
    assert found
    assert found[0] == found[-1]


@pytest.mark.parametrize("name", STRAIGHT)
def test_what_is_no_circle_is_none(tmp_path: Path, name: str) -> None:
    assert circle(planted(tmp_path, STRAIGHT[name])) == []


LINE = "\tx();\n"
SIGNATURES = {
    "plain": "int f(void)\n{\n",
    "two lines": "static bool f(const struct thing *thing,\n\t      unsigned int count)\n{\n",
    "a function as argument": "void f(int (*g)(int (*)(void)), int n)\n{\n",
    "an attribute": "static void f(int n) __attribute__((noreturn, format(printf, 1, 2)))\n{\n",
    "braces inside": 'int f(void)\n{\n\tif (x) {\n\t\tputs("}");\n\t} /* } */\n',
    "a directive inside": "int f(void)\n{\n#define OPEN \\\n\t{\n",
}


@pytest.mark.parametrize("name", SIGNATURES)
@pytest.mark.parametrize(("over", "found"), [(0, 0), (1, 1)])
def test_a_long_function_is_found(tmp_path: Path, name: str, over: int, found: int) -> None:
    head = SIGNATURES[name]
    body = head + LINE * (LONGEST - head.count("\n") - 1 + over) + "}\n"
    long = long_functions(planted(tmp_path, {"a.c": f"/* A comment\n * before. */\n\n{body}\nint other;\n"}))
    assert long == [f"guest/a.c:4: f() has {LONGEST + 1} lines"] * found


def test_a_long_table_is_no_function(tmp_path: Path) -> None:
    table = "static const struct thing things[] = {\n" + "\t{ .call = CALL(1) },\n" * (2 * LONGEST) + "};\n"
    tree = planted(tmp_path, {"a.c": table, "a.h": "enum { A,\n" + "\tB,\n" * 2 * LONGEST + "};\n"})
    assert long_functions(tree) == []


@pytest.mark.parametrize("text", ["int f(void)\n{\n", "int f(void)\n{\n}\n}\n"])
def test_braces_that_do_not_match_are_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"^guest/a\.c: .*brace"):
        long_functions(planted(tmp_path, {"a.c": text}))
