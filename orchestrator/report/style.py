# SPDX-License-Identifier: Apache-2.0
"""Colours, names and settings of figures; colours after P. Tol (SRON/EPS/TN/09-002), for the colour-blind too."""

from __future__ import annotations

from typing import Any

INK = "#1b1f24"
MUTED = "#5c6670"
RULE = "#d5d9de"
BAND = "#f0ead8"

WORLD_COLOURS = {"host": "#7b8794", "vm": "#4477aa", "realm": "#c8443c"}
WORLD_NAMES = {"host": "host", "vm": "normal VM", "realm": "realm"}
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
COMPONENT_NAMES = {
    "all": "all",
    "guest_user": "guest, EL0",
    "guest_kernel": "guest, EL1",
    "rmm": "RMM, R-EL2",
    "el3": "monitor, EL3",
    "host_kernel": "host kernel, NS-EL2",
    "vmm": "VMM, host EL0",
    "unattributed": "unattributed",
}
PHASE_NAMES = {
    "boot": "boot",
    "realm_create": "creation",
    "attest": "attestation",
    "load": "load",
    "read": "read",
    "infer": "inference",
    "write": "write",
    "teardown": "end",
    "total": "load + one inference",
}

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
