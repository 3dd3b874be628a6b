# SPDX-License-Identifier: Apache-2.0
"""Colours, names and settings of figures; colours after P. Tol (SRON/EPS/TN/09-002), for the colour-blind too."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.analysis.decompose import UNATTRIBUTED
from orchestrator.analysis.facts import TOTAL
from orchestrator.words import PHASES, Component, Verdict, World

INK = "#1b1f24"
MUTED = "#5c6670"
RULE = "#d5d9de"
BAND = "#f0ead8"
MARGIN = "#e9ecef"

_WORLD_COLOURS: Mapping[str, str] = {World.HOST: "#7b8794", World.VM: "#4477aa", World.REALM: "#c8443c"}
_WORLD_MARKS: Mapping[str, str] = {World.HOST: "s", World.VM: "o", World.REALM: "D"}
_COMPONENT_COLOURS: Mapping[str, str] = {
    Component.GUEST_USER: "#4477aa",
    Component.GUEST_KERNEL: "#66ccee",
    Component.RMM: "#c8443c",
    Component.EL3: "#ee9a3a",
    Component.HOST_KERNEL: "#228833",
    Component.VMM: "#aa3377",
    UNATTRIBUTED: "#bbbbbb",
}
_OTHER_COLOURS = ("#332288", "#999933", "#882255", "#44aa99", "#ddcc77", "#117733")
_OTHER_MARKS = ("^", "v", "P", "X", "*")
VERDICT_COLOURS: Mapping[str, str] = {Verdict.SLOWER: "#c8443c", Verdict.FASTER: "#228833"}


def world_colour(world: str) -> str:
    """The colour of a world; one that is not known here has the same one each time as well."""
    return _WORLD_COLOURS.get(world) or _pick(_OTHER_COLOURS, world)


def world_mark(world: str) -> str:
    """The mark of a world in figures."""
    return _WORLD_MARKS.get(world) or _pick(_OTHER_MARKS, world)


def world_name(world: str) -> str:
    """A world, for people."""
    return World(world).label if world in set(World) else _spaced(world)


def worlds_in_order(worlds: Iterable[str]) -> list[str]:
    """As people read them; unknown ones last."""
    return _in_order(worlds, list(World))


def component_colour(component: str) -> str:
    """The colour of a component."""
    return _COMPONENT_COLOURS.get(component) or _pick(_OTHER_COLOURS, component)


def component_name(component: str) -> str:
    """A component, for people: who and, after a comma, where."""
    return Component(component).label if component in set(Component) else _spaced(component)


def component_heading(component: str) -> tuple[str, str]:
    """A component on two lines: who and where."""
    who, _, where = component_name(component).partition(", ")
    return who, where


def components_in_order(components: Iterable[str]) -> list[str]:
    """From the guest outwards; what no component has, and unknown ones, last."""
    return _in_order(components, list(_COMPONENT_COLOURS))


def phase_name(phase: str) -> str:
    """A phase, or the total of them, for people."""
    if phase == TOTAL:
        return "load + one inference"
    return PHASES[phase].label if phase in PHASES else _spaced(phase)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _pick(choices: Sequence[str], name: str) -> str:
    return choices[zlib.crc32(name.encode()) % len(choices)]


def _in_order(names: Iterable[str], known: Sequence[str]) -> list[str]:
    places = {str(name): place for place, name in enumerate(known)}
    return sorted(map(str, names), key=lambda name: places.get(name, len(places)))


SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: selectable, searchable, in the page's own font
    "svg.hashsalt": "orch",  # the same figure gives the same bytes
    "text.parse_math": False,  # names of models may hold a dollar sign
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that measures do not depend on the computer
    "font.size": 8.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}
