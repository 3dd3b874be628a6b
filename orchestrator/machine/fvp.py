# SPDX-License-Identifier: Apache-2.0
"""Platform `fvp`: from the user's parts to the argument vector of Arm's FVP Base RevC 2xAEMvA, and nothing else.

Nothing here was ever run: the model is not free to pass on, and orch has no firmware for it. The parameters are those
that TF-A's "Realm Management Extension" chapter and Arm's Shrinkwrap (its configuration of three worlds) give.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pydantic import Field

from orchestrator.errors import UsageError
from orchestrator.machine.needs import Needs
from orchestrator.machine.platform import Blueprint, Capability, Identity, Parts, Platform
from orchestrator.schema.yamlfile import Strict

if TYPE_CHECKING:
    from orchestrator.schema.testbed import Machine as MachineConfig

# Where the firmware expects Linux: PRELOADED_BL33_BASE of a TF-A that was built with ARM_LINUX_KERNEL_AS_BL33=1.
KERNEL_ADDRESS = 0x8400_0000
DRAM_GIB = 4
CORES_PER_CLUSTER = 4
UARTS = 4

# Each version is said, as Shrinkwrap does, rather than left to what the last one implies in some version of the model.
_ARCHITECTURE = ("8-1", "8-2", "8-3", "8-4", "8-5", "8-6", "8-7", "9-0", "9-1", "9-2")

_CLUSTER: dict[str, str] = {
    "PA_SIZE": "48",
    "rme_support_level": "2",
    "max_32bit_el": "0",
    "ecv_support_level": "2",
    "enhanced_pac2_level": "3",
    "has_16k_granule": "1",
    "has_amu": "1",
    "has_branch_target_exception": "1",
    "has_large_system_ext": "1",
    "has_large_va": "1",
    "has_rndr": "1",
    # FEAT_CSV2_2, which TF-A takes for granted with RME
    "restriction_on_speculative_execution": "2",
    "restriction_on_speculative_execution_aarch32": "2",
    "gicv3.cpuintf-mmap-access-level": "2",
    "gicv3.without-DS-support": "1",
    "gicv4.mask-virtual-interrupt": "1",
    # the model as fast as it goes
    "check_memory_attributes": "0",
    "stage12_tlb_size": "1024",
}

_BOARD: dict[str, str] = {
    "pctl.startup": "0.0.0.0",  # noqa: S104 - the core that starts, not an address
    "cache_state_modelled": "0",
    "bp.dram_size": str(DRAM_GIB),
    "bp.has_rme": "1",
    # granules are protected by the GPT, not by the TrustZone controller
    "bp.secure_memory": "0",
    "bp.refcounter.non_arch_start_at_default": "1",
    # time by executed instructions, not by the computer's clock
    "bp.refcounter.use_real_time": "0",
    "bp.ve_sysregs.exit_on_shutdown": "1",
    "bp.virtio_rng.enabled": "1",
    "bp.vis.disable_visualisation": "1",
}

# An SMMUv3.2 with the registers of the Root state.
_SMMU: dict[str, str] = {
    "SMMU_AIDR": "2",
    "SMMU_IDR0": "0x080FF6BF",
    "SMMU_IDR1": "0x0CE73D20",
    "SMMU_IDR3": "0x1714",
    "SMMU_IDR5": "0xFFFF0475",
    "SMMU_S_IDR1": "0xA0000002",
    "SMMU_S_IDR2": "0",
    "SMMU_S_IDR3": "0",
    "SMMU_ROOT_IDR0": "3",
    "SMMU_ROOT_IIDR": "0x43B",
    "root_register_page_offset": "0x20000",
}


@dataclass(frozen=True)
class FvpSpec:
    """What the command line is made of: paths of the user's parts, the number of CPUs (1 to 8) and a port or 0."""

    model: str
    bl1: str
    fip: str
    image: str
    disk: str | None = None
    cpus: int = 2
    ssh_port: int = 0


def fvp_command_line(spec: FvpSpec) -> list[str]:
    """The complete argument vector; raises ValueError for more CPUs than the model's two clusters have."""
    if not 1 <= spec.cpus <= 2 * CORES_PER_CLUSTER:
        raise ValueError(f"{spec.cpus} CPUs: the model has two clusters of {CORES_PER_CLUSTER}")
    words = [spec.model]
    for name, value in _parameters(spec):
        words += ["-C", f"{name}={value}"]
    return [*words, "--data", f"cluster0.cpu0={spec.image}@{KERNEL_ADDRESS:#x}"]


def _parameters(spec: FvpSpec) -> Iterator[tuple[str, str]]:
    yield from _BOARD.items()
    yield "bp.secureflashloader.fname", spec.bl1
    yield "bp.flashloader0.fname", spec.fip
    if spec.disk is not None:
        yield "bp.virtioblockdevice.image_path", spec.disk
    yield from _network(spec)
    for uart in range(UARTS):
        # Otherwise the model opens a window for each; its ports take telnet either way.
        yield f"bp.terminal_{uart}.start_telnet", "0"
    first = min(spec.cpus, CORES_PER_CLUSTER)
    for cluster, cores in enumerate((first, spec.cpus - first)):
        yield f"cluster{cluster}.NUM_CORES", str(cores)
        yield from ((f"cluster{cluster}.has_arm_v{version}", "1") for version in _ARCHITECTURE)
        yield from ((f"cluster{cluster}.{name}", value) for name, value in _CLUSTER.items())
    yield from ((f"pci.pci_smmuv3.mmu.{name}", value) for name, value in _SMMU.items())


def _network(spec: FvpSpec) -> Iterator[tuple[str, str]]:
    """The board's own Ethernet controller behind the model's user-mode network."""
    yield "bp.smsc_91c111.enabled", "1"
    yield "bp.hostbridge.userNetworking", "1"
    if spec.ssh_port:
        yield "bp.hostbridge.userNetPorts", f"{spec.ssh_port}=22"


class FvpOptions(Strict):
    """Arm's FVP_Base_RevC-2xAEMvA and a stack that was built for it, all of the user's; see docs/machine.md."""

    model: Path = Field(description="the model's program")
    bl1: Path = Field(description="TF-A's bl1.bin for PLAT=fvp with ENABLE_RME=1")
    fip: Path = Field(description="TF-A's fip.bin, with the RMM in it")
    image: Path = Field(description="kernel Image of the host")
    disk: Path | None = Field(default=None, description="root file system of the host, a virtio block device")


@dataclass(frozen=True)
class Fvp:
    """A platform of which orch only makes the command line; without RUN nothing else of it is ever asked."""

    name: str = "fvp"
    capabilities: frozenset[Capability] = frozenset()
    options: type[FvpOptions] = FvpOptions

    def nodes(self, given: Collection[str]) -> list[str]:
        """Everything is the user's."""
        return []

    def command_line(self, blueprint: Blueprint, *, by_hand: bool = False) -> list[str]:
        """The model's argument vector, which is for a terminal anyhow."""
        if by_hand:
            raise UsageError("--by-hand: the command line of platform fvp is the same with and without orch")
        given = blueprint.parts.given
        paths = {name: str(given[key]) for name in FvpOptions.model_fields if (key := f"machine.fvp.{name}") in given}
        return fvp_command_line(FvpSpec(**paths, cpus=blueprint.cpus, ssh_port=blueprint.ssh_port))

    def check(self, blueprint: Blueprint) -> None:
        """Nothing can be combined wrongly."""

    def marker_limit(self, cpus: int) -> None:
        """Nothing counts on it."""

    def version(self, parts: Parts) -> NoReturn:
        """Nothing of it was ever run."""
        raise NotImplementedError

    def needs(self, config: MachineConfig, *, deterministic: bool) -> Needs:
        """Its DRAM, and a core for each CPU; what the model itself takes is not known."""
        return Needs(cores=config.cpus, memory_mib=DRAM_GIB << 10)

    def identity(self, blueprint: Blueprint) -> Identity:
        """All that the command line names."""
        return Identity(self.command_line(blueprint), list(blueprint.parts.given.values()))

    def restorable(self, blueprint: Blueprint) -> bool:
        """It saves nothing."""
        return False

    def machine(self, run_folder: Path) -> NoReturn:
        """There is none."""
        raise NotImplementedError


RECORD: Platform = Fvp()
