# SPDX-License-Identifier: Apache-2.0
"""What a page consists of: sections of paragraphs, tables, figures and lists. Nothing here computes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heading:
    """The head of a column, with the unit of what stands below; numbers are set to the right."""

    text: str
    unit: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Word:
    """A cell of a table set apart: `good`, `bad`, `warn`, `plain` or `muted`; `below` is a second, smaller line."""

    text: str
    tone: str = "plain"
    below: str = ""


Content = str | Word


@dataclass(frozen=True)
class Grid:
    """A table; every row has as many cells as there are headings. `folded` ones are opened by a click."""

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Content, ...], ...]
    notes: tuple[str, ...] = ()
    folded: bool = False
    kind: str = field(default="grid", init=False)

    @property
    def spans(self) -> tuple[int, ...]:
        """How many rows the first cell of each row stands for; 0 where it is empty, since the one above does."""
        found = [1] * len(self.rows)
        for place in range(len(self.rows) - 1, 0, -1):
            if self.rows[place][0] == "":
                found[place - 1] += found[place]
                found[place] = 0
        return tuple(found)


@dataclass(frozen=True)
class Plot:
    """A drawn figure: an <svg> element and what stands below it."""

    name: str
    svg: str
    caption: str
    kind: str = field(default="plot", init=False)


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    rows: tuple[tuple[str, Content], ...]
    kind: str = field(default="facts", init=False)


@dataclass(frozen=True)
class Paragraph:
    """Text; `tone` as of a word, `lead` for the one sentence that a section comes to."""

    text: str
    tone: str = "plain"
    kind: str = field(default="paragraph", init=False)


@dataclass(frozen=True)
class Points:
    """A list."""

    items: tuple[str, ...]
    kind: str = field(default="points", init=False)


Item = Grid | Plot | Facts | Paragraph | Points


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading, which links lead to by `name`."""

    name: str
    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Page:
    """A whole page; `alarms` stand above everything else."""

    title: str
    subtitle: str
    status: Word
    alarms: tuple[str, ...]
    sections: tuple[Section, ...]
    footer: tuple[str, ...] = ()
    alarm_title: str = "Not everything went well."
