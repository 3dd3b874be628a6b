# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of tables and runs: worlds, phases, components, metrics; whatever lists them derives from here.

A phase or a metric of your own is one record (`PHASES.add`, `METRICS.add`): schema, rows, summary, report and the
dictionary know it from then on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Self

from orchestrator.registry import Registry

DEFAULT_MARGIN = 0.02
"""Ratios within 1 ± this count as equal unless a workload says otherwise."""


class World(StrEnum):
    """Where an inference runs; in the order in which people read them."""

    HOST = "host"
    VM = "vm"
    REALM = "realm"

    @property
    def label(self) -> str:
        """For people."""
        return "normal VM" if self is World.VM else str(self)


GUEST_WORLDS = (World.REALM, World.VM)
"""The worlds that are guests, in the order in which they are measured: an attack on a realm must not find what an
earlier deployment left in the host's memory."""


class Mark(IntEnum):
    """Numbers of markers that are no phase: the marker ABI's header (guest/abi) has them all."""

    CALIBRATE = 0
    HOST_READY = 1
    USER = 0x100


class Owner(StrEnum):
    """What a phase happens to: a guest, a step (one cell in one world and boot), or a request to a service."""

    GUEST = "guest"
    STEP = "step"
    REQUEST = "request"


class Phase(str):
    """A stretch of execution between two markers; a string, as it stands in tables.

    `event` is the number of its markers. `repeats` says that each inference has one, `in_total` that it is part of
    "load + one inference"; `required` that its markers must be there, or the counts would be of something else.
    """

    event: int
    owner: Owner
    label: str
    meaning: str
    repeats: bool
    in_total: bool
    required: bool

    def __new__(
        cls,
        name: str,
        *,
        event: int,
        owner: Owner,
        label: str,
        meaning: str,
        repeats: bool = False,
        in_total: bool = False,
        required: bool = False,
    ) -> Self:
        """A phase called `name` in tables and `label` by people."""
        phase = super().__new__(cls, name)
        phase.event, phase.owner, phase.label, phase.meaning = event, owner, label, meaning
        phase.repeats, phase.in_total, phase.required = repeats, in_total, required
        return phase

    def __reduce__(self) -> str | tuple[object, ...]:
        return str, (str(self),)

    @property
    def name(self) -> str:
        """As it stands in tables."""
        return str(self)


PHASES: Registry[Phase] = Registry("phase")
"""All phases, in the order of a guest's life."""

BOOT = PHASES.add(
    Phase("boot", event=2, owner=Owner.GUEST, label="boot", meaning="from the guest's first instruction to its log-in")
)
REALM_CREATE = PHASES.add(
    Phase("realm_create", event=3, owner=Owner.GUEST, label="creation", meaning="a guest is made: memory, vCPUs")
)
ATTEST = PHASES.add(
    Phase("attest", event=4, owner=Owner.GUEST, label="attestation", meaning="a guest proves what it is")
)
LOAD = PHASES.add(
    Phase(
        "load",
        event=5,
        owner=Owner.STEP,
        label="load",
        meaning="the runner reads the model and prepares it, once a step",
        in_total=True,
        required=True,
    )
)
READ = PHASES.add(
    Phase(
        "read",
        event=6,
        owner=Owner.STEP,
        label="read",
        meaning="an input is read",
        repeats=True,
        in_total=True,
        required=True,
    )
)
INFER = PHASES.add(
    Phase(
        "infer",
        event=7,
        owner=Owner.STEP,
        label="inference",
        meaning="the model is executed",
        repeats=True,
        in_total=True,
        required=True,
    )
)
WRITE = PHASES.add(
    Phase(
        "write",
        event=8,
        owner=Owner.STEP,
        label="write",
        meaning="what is released is written",
        repeats=True,
        in_total=True,
        required=True,
    )
)
TEARDOWN = PHASES.add(
    Phase("teardown", event=9, owner=Owner.GUEST, label="end", meaning="a guest ends and gives its memory back")
)


def phases_of(owner: Owner) -> tuple[Phase, ...]:
    """The phases of guests, steps or requests, in order."""
    return tuple(phase for phase in PHASES.values() if phase.owner is owner)


def phases_in_total() -> tuple[Phase, ...]:
    """The phases that add up to "load + one inference"."""
    return tuple(phase for phase in PHASES.values() if phase.in_total)


class Component(StrEnum):
    """Who executed; `all` is the sum of the others."""

    ALL = "all"
    GUEST_USER = "guest_user"
    GUEST_KERNEL = "guest_kernel"
    RMM = "rmm"
    EL3 = "el3"
    HOST_KERNEL = "host_kernel"
    VMM = "vmm"

    @property
    def label(self) -> str:
        """For people: who, and where."""
        return _COMPONENT_LABELS[self]


_COMPONENT_LABELS = {
    Component.ALL: "all",
    Component.GUEST_USER: "guest, EL0",
    Component.GUEST_KERNEL: "guest, EL1",
    Component.RMM: "RMM, R-EL2",
    Component.EL3: "monitor, EL3",
    Component.HOST_KERNEL: "host kernel, NS-EL2",
    Component.VMM: "VMM, host EL0",
}


class Method(StrEnum):
    """Who observed: the emulator's plugin; a guest's clock; the build computer's clock; files.

    `procfs` are files of the guest or the host: /proc, the VMM's and the driver's statistics, the runner's results.
    """

    TCG_PLUGIN = "tcg_plugin"
    GUEST_CLOCK = "guest_clock"
    HOST_CLOCK = "host_clock"
    PROCFS = "procfs"


class Status(StrEnum):
    """What became of an observation."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


class Quantization(StrEnum):
    """Number format of a model's weights and activations.

    `dynamic`: whole numbers are weights, and activations for each inference anew. `weights`: only what is stored.
    `blockwise`: several scales in a row of weights. `mixed`: operators of several of these.
    """

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16X8 = "int16x8"
    INT8X4 = "int8x4"
    DYNAMIC_INT8 = "dynamic_int8"
    DYNAMIC_INT4 = "dynamic_int4"
    WEIGHTS_INT8 = "weights_int8"
    WEIGHTS_INT4 = "weights_int4"
    BLOCKWISE_INT8 = "blockwise_int8"
    BLOCKWISE_INT4 = "blockwise_int4"
    MIXED = "mixed"


class Verdict(StrEnum):
    """A comparison in one word, at the run's margin (docs/analysis.md)."""

    FASTER = "faster"
    SLOWER = "slower"
    IDENTICAL = "identical"
    INDISTINGUISHABLE = "indistinguishable"
    INCONCLUSIVE = "inconclusive"
    TOO_FEW_TICKS = "too few ticks"


class Access(StrEnum):
    """What of a model an attacker sees."""

    LABEL = "label"
    CONFIDENCE = "confidence"
    LOGITS = "logits"
    WEIGHTS = "weights"


@dataclass(frozen=True)
class Metric:
    """A measured quantity: its unit by method of observation, and what it is.

    `judged`: less is better, so that a ratio gets a verdict. `flag`: 0 or 1, so that medians have no ratio. `record` is
    the key of the last line of a runtime's record that has its value, if it comes from there (docs/runner.md).
    """

    name: str
    units: Mapping[Method, str]
    meaning: str
    judged: bool = False
    flag: bool = False
    record: str | None = None


METRICS: Registry[Metric] = Registry("metric")
"""All metrics but `exits_<reason>` (procfs, unit 1): how often the guest came back to its VMM for that reason around
one execution of the runner, loading and warm-ups included, though the phase is infer; see VMM_SEES."""

for _metric in (
    Metric(
        "instructions",
        {Method.TCG_PLUGIN: "1"},
        "executed instructions, the cost of the empty marker pair subtracted; by component",
        judged=True,
    ),
    Metric(
        "exits",
        {Method.TCG_PLUGIN: "1"},
        "times the guest (EL0, EL1) was left for EL2 of its own world; none in the host",
    ),
    Metric(
        "host_exits",
        {Method.TCG_PLUGIN: "1"},
        "exits that reached the host; in a VM the same as exits. Of a realm: moves from the realm world to EL3. "
        "Returns of the host's calls to the monitor are such moves as well; a pre-touched guest causes none while the "
        "runner executes, and phases boot, realm_create and teardown, which consist of them, have no host_exits",
    ),
    Metric(
        "duration",
        {Method.GUEST_CLOCK: "ns", Method.HOST_CLOCK: "s"},
        "guest_clock: time as the guest sees it (virtual if icount_shift is set); host_clock: time of the build "
        "computer, the cost of the harness and not of the system",
        judged=True,
    ),
    Metric("peak_rss", {Method.PROCFS: "KiB"}, "largest resident memory of the runner", record="peak_rss_kib"),
    Metric("minor_faults", {Method.PROCFS: "1"}, "page faults of the runner without I/O", record="minor_faults"),
    Metric("major_faults", {Method.PROCFS: "1"}, "page faults of the runner with I/O", record="major_faults"),
    Metric(
        "rx_packets",
        {Method.PROCFS: "1"},
        "packets that reached the guest between the first and the last marker",
        record="rx_packets_during",
    ),
    Metric("granules", {Method.PROCFS: "1"}, "4 KiB granules delegated to the realm world once the realm was made"),
    Metric("pages", {Method.PROCFS: "1"}, "4 KiB pages of guest memory"),
    Metric(
        "oracle_difference",
        {Method.PROCFS: "1"},
        "largest difference of a released number from the oracle's, in parts of the output's largest number",
    ),
    Metric("correct", {Method.PROCFS: "1"}, "1 if the released label is the known one, else 0", flag=True),
):
    METRICS.add(_metric)

VMM_SEES = frozenset({"mmio_read", "mmio_write", "psci"})
"""Reasons for which a normal VM comes back to its VMM; KVM settles all others in the kernel, and their count is 0."""

_EXITS = re.compile(r"^exits_[a-z0-9_]+$")


def unit_of(metric: str, method: Method) -> str | None:
    """The unit in which a metric is observed by a method; None if it never is."""
    if _EXITS.match(metric):
        return "1" if method is Method.PROCFS else None
    known = METRICS.get(metric)
    return known.units.get(method) if known else None
