# SPDX-License-Identifier: Apache-2.0
"""The documents: lines and sentences that can be read, links and paths that lead somewhere, a true list of rooms."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "orchestrator"
PAGES = (ROOT / "README.md", ROOT / "results/README.md", *sorted((ROOT / "docs").rglob("*.md")))
IDS = [str(path.relative_to(ROOT)) for path in PAGES]
LONGEST_LINE, LONGEST_SENTENCE = 100, 40  # characters; words

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ITEM = re.compile(r"^\s*(?:[-*]|\d+\.)\s+")
_ONE_LINK = re.compile(r"^!?\[[^\]]*\]\([^)]*\)\.?$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_END = re.compile(r"(?<=[.!?])[)*\"]*\s+(?=[A-Z0-9`*(\[\"])")
_CODE = re.compile(r"`[^`]*`")
_TOP = ("orchestrator", "images", "guest", "tests", "benchmarks", "workloads", "docs")
_PATH = re.compile(r"^(?:\.?[\w-]+/)+[\w.-]*$")
_PLACEHOLDER = re.compile(r"(?:^|/)[A-Z]+(?:/|$)")
_SOURCE = re.compile(r"\.(?:py|c|h|S|sh|yaml|md|lds|patch)$")


def structure() -> Any:
    """The test that holds the rooms; its list and its reader of imports are the ones to compare with."""
    spec = importlib.util.spec_from_file_location("structure", Path(__file__).with_name("test_structure.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ROOMS: tuple[str, ...] = structure().ROOMS


# --- reading Markdown -------------------------------------------------------------------------------------------------


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Line number and text of what is neither table, code nor comment; empty lines as they are."""
    for pattern in (_FENCE, _COMMENT):
        text = pattern.sub(lambda found: "\n" * found[0].count("\n"), text)
    inside = False  # of a list item, whose further paragraphs are indented
    empty = True
    for number, line in enumerate(text.splitlines(), start=1):
        code = line.startswith("      " if inside else "    ") and empty
        if not code and _ITEM.match(line):
            inside = True
        elif line.strip() and not line.startswith(" "):
            inside = False
        table = line.startswith("|")
        empty = not line.strip() or code
        yield number, "" if code or table else line


def sentences(text: str) -> Iterator[str]:
    """The sentences of all paragraphs and list items."""
    block: list[str] = []
    for _, line in [*prose(text), (0, "")]:
        starts = _ITEM.match(line) is not None
        if block and (starts or not line.strip() or line.startswith("#")):
            yield from _END.split(" ".join(block))
            block = []
        if line.strip() and not line.startswith("#"):
            block.append(_ITEM.sub("", line).strip())


def words(sentence: str) -> int:
    """What is in backticks is one word, and so is a link's text as it is read."""
    plain = re.sub(r"\]\([^)]*\)", "]", _CODE.sub("x", sentence))
    return sum(any(char.isalnum() for char in word) for word in plain.split())


def slug(heading: str) -> str:
    """The anchor that a heading has."""
    plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@cache
def anchors(path: Path) -> frozenset[str]:
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    return frozenset(slug(line.lstrip("#")) for line in text.splitlines() if line.startswith("#"))


def long_lines(text: str) -> list[str]:
    return [
        f"{number}: {len(line)}"
        for number, line in prose(text)
        if len(line) > LONGEST_LINE and not _ONE_LINK.match(line)
    ]


def long_sentences(text: str) -> list[str]:
    return [f"{words(each)} words: {each[:60]}" for each in sentences(text) if words(each) > LONGEST_SENTENCE]


def dead_links(path: Path, text: str) -> Iterator[str]:
    for target in _LINK.findall(_CODE.sub("", _FENCE.sub("", text))):
        file, _, anchor = target.partition("#")
        there = path if not file else path.parent / file
        if re.match(r"^[a-z]+:", target):
            continue
        if not there.exists() or (anchor and anchor not in anchors(there.resolve())):
            yield target


def dead_paths(text: str) -> Iterator[str]:
    """What is in backticks and looks like a place in the repository, or in the package, and is none."""
    for code in _CODE.findall(_FENCE.sub("", text)):
        name = code.strip("`")
        top = name.partition("/")[0]
        if (
            _PLACEHOLDER.search(name)
            or not _PATH.match(name)
            or not (top in _TOP or (top in ROOMS and _SOURCE.search(name)))
        ):
            continue
        if not (ROOT / name).exists() and not (PACKAGE / name).exists():
            yield name


# --- the pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_lines_are_wrapped(path: Path) -> None:
    assert long_lines(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_sentences_are_short(path: Path) -> None:
    assert long_sentences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_links_and_paths_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [*dead_links(path, text), *dead_paths(text)] == []


def test_every_page_can_be_found_from_the_first_one() -> None:
    found, left = set(), [PAGES[0]]
    while left:
        path = left.pop()
        found.add(path)
        targets = (path.parent / each.partition("#")[0] for each in _LINK.findall(path.read_text(encoding="utf-8")))
        left += [each.resolve() for each in targets if each.suffix == ".md" and each.resolve() not in found]
    assert set(PAGES) <= found


# --- the page of the architecture -------------------------------------------------------------------------------------

ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def imported() -> dict[str, set[str]]:
    """The rooms that each room imports, for types as well."""
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for name, others in structure().graph(PACKAGE, for_types=True).items():
        if "." in name:
            room = name.split(".")[1]
            found[room] |= {other.split(".")[1] for other in others if "." in other} - {room}
    return found


def test_the_rooms_and_their_imports_are_those_of_the_code() -> None:
    """A list is exact; where a row says "everything up to" a room "but" some, the room imports no more than that."""
    table = ARCHITECTURE.partition("| room | imports")[2].partition("\n\n")[0].splitlines()[2:]
    code, seen = imported(), []
    for line in table:
        rooms, cell = (each.strip() for each in line.strip("|").split("|"))
        named = re.findall(r"`(\w+)`", cell)
        for room in re.findall(r"`(\w+)`", rooms):
            seen.append(room)
            if cell.startswith("everything up to"):
                last, *but = named
                assert code[room] <= set(ROOMS[: ROOMS.index(last) + 1]) - set(but), room
            elif room != "cli":
                assert code[room] == set(named), room
    assert sorted(seen) == sorted(ROOMS)


def test_the_picture_has_the_rooms_in_their_order() -> None:
    picture = ARCHITECTURE.partition("never one above.\n")[2].partition("\nNeighbours")[0]
    listed = [each for line in picture.splitlines() if (each := line.strip().split("  ")[0]) not in ("", "|")]
    below = [room.strip() for line in listed for room in line.split(",")]
    assert sorted(below) == sorted(ROOMS)
    for room, others in imported().items():
        assert all(below.index(other) > below.index(room) for other in others), room


# --- the checks see what they are for ---------------------------------------------------------------------------------


def test_what_is_too_long_is_seen() -> None:
    line = "word " * 30
    assert long_lines(line) == ["1: 150"]
    assert long_lines(f"| {line} |\n\n    {line}\n\n```\n{line}\n```\n") == []
    assert long_lines(f"- item\n\n      {line}\n") == []
    assert long_lines(f"1. item\n   {line}\n") == ["2: 153"]
    many = "\n".join(["word"] * LONGEST_SENTENCE)
    assert long_sentences(f"{many}. {many.title()}.") == []
    assert len(long_sentences(f"{many} more. Short.")) == 1
    assert long_sentences(f"{many}\n\n- {many}\n- {many}\n") == []


def test_what_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b` c: d\n", encoding="utf-8")
    good, bad = "[x](page.md#a-b-c-d)", "[x](page.md#e) [y](other.md)"
    assert [*dead_links(page, f"{good} {bad} [z](https://x.y/z)")] == ["page.md#e", "other.md"]
    assert [*dead_paths("`docs/none.md` `runs/none.py` `runs/shard.py` `images/rmm` `a/b` `docs/*.md`")] == [
        "docs/none.md",
        "runs/none.py",
    ]
