# SPDX-License-Identifier: Apache-2.0
"""Colours, names and settings of figures; colours after P. Tol (SRON/EPS/TN/09-002), for the colour-blind too."""

from __future__ import annotations

from typing import Any

from orchestrator.words import PHASES, Component, World

INK = "#1b1f24"
MUTED = "#5c6670"
RULE = "#d5d9de"
BAND = "#f0ead8"

WORLD_COLOURS = {"host": "#7b8794", "vm": "#4477aa", "realm": "#c8443c"}
WORLD_NAMES = {str(world): world.label for world in World}
WORLD_MARKS = {"host": "s", "vm": "o", "realm": "D"}

COMPONENT_COLOURS = {
    "guest_user": "#4477aa",
    "guest_kernel": "#66ccee",
    "rmm": "#c8443c",
    "el3": "#ee9a3a",
    "host_kernel": "#228833",
    "vmm": "#aa3377",
    "unattributed": "#bbbbbb",
}
COMPONENT_NAMES = {**{str(each): each.label for each in Component}, "unattributed": "unattributed"}


def phase_name(phase: str) -> str:
    """A phase, or the total of them, for people."""
    return PHASES[phase].label if phase in PHASES else "load + one inference"


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
