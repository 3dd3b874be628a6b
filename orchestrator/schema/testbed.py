# SPDX-License-Identifier: Apache-2.0
"""`testbed.yaml`: which machine to build and how to wait for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from orchestrator.registry import PLATFORMS
from orchestrator.schema import vmm_template
from orchestrator.schema.names import PlatformName
from orchestrator.schema.yamlfile import Strict

Seconds = Annotated[float, Field(strict=True, gt=0, le=3600)]
Ticks = Literal[100, 250, 300, 1000]
# The host has 3072 MiB and needs some for itself; below 64 a guest's kernel, initrd and bounce buffers are cramped.
GUEST_MIB_MIN, GUEST_MIB_MAX = 64, 2560
SWIOTLB_SLABS_MIN = 512
"""What the devices of a realm may hold at once: 126 slabs a disk, 128 to receive, 33 for console and entropy; and a few
to send."""
GUEST_CPUS_MAX = 8
SWIOTLB_SLAB_BYTES = 2048


class CpuFeature(Strict):
    """One `-cpu` property, pinned with the reason for its value."""

    value: bool
    why: str = Field(min_length=1)


class Cpu(Strict):
    """The emulated processor: a model and the features that are fixed explicitly."""

    model: Literal["max"] = "max"
    features: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")], CpuFeature]


class Deterministic(Strict):
    """`--deterministic`: virtual time driven by executed instructions."""

    icount_shift: int = Field(default=0, ge=0, le=10, description="2^shift ns of virtual time an instruction")
    cpus: int = Field(default=1, ge=1, le=8, description="more than one cannot be counted, see docs/counting.md")


class Machine(Strict):
    """The emulated machine; RAM is always 3072 MiB, see docs/machine.md.

    A platform may have a section of its own, called as it is: it is needed with that platform and ignored without.
    """

    model_config = ConfigDict(extra="allow")

    platform: PlatformName = "qemu"
    type: Literal["virt-10.0"] = "virt-10.0"
    cpus: int = Field(default=2, ge=1, le=8)
    cpu: Cpu
    deterministic: Deterministic = Deterministic()

    @property
    def options(self) -> BaseModel | None:
        """The section of the chosen platform; None if it has none."""
        section: BaseModel | None = (self.__pydantic_extra__ or {}).get(self.platform)
        return section

    @model_validator(mode="after")
    def _other_keys_are_platforms(self) -> Self:
        """Each is checked by the model that its platform declares; what is no platform's is unknown here."""
        others = self.__pydantic_extra__ or {}
        if others:
            self._check_sections(others)
        wanted = PLATFORMS[self.platform].options
        if wanted is not None and self.options is None:
            keys = ", ".join(name for name, each in wanted.model_fields.items() if each.is_required())
            raise ValueError(f"platform '{self.platform}' needs the section '{self.platform}' with {keys}")
        return self

    @staticmethod
    def _check_sections(others: dict[str, Any]) -> None:
        """Put what each section says in place of its plain data; raises ValidationError with the key's place."""
        models = {name: PLATFORMS[name].options for name in others if name in PLATFORMS}
        fields: dict[str, Any] = {name: (model | None, None) for name, model in models.items() if model is not None}
        sections = create_model("Machine", __base__=Strict, **fields).model_validate(others)
        others.update({name: getattr(sections, name) for name in fields})


class Kernel(Strict):
    """Timer ticks of the kernels, Hz, and an extra configuration fragment."""

    host_hz: Ticks = 100
    guest_hz: Ticks = 100
    fragment: Path | None = Field(default=None, description="extra lines for the configuration of the kernels")


class Guest(Strict):
    """What realm and normal VM are given, both the same."""

    memory_mib: int = Field(default=256, ge=GUEST_MIB_MIN, le=GUEST_MIB_MAX, multiple_of=2)
    vcpus: int = Field(default=1, ge=1, le=GUEST_CPUS_MAX)
    swiotlb_slabs: int = Field(default=4096, ge=SWIOTLB_SLABS_MIN, le=262144, description="bounce buffers, 2 KiB each")
    disk: Path | None = Field(default=None, description="file that guests see as a read-only block device")
    cmdline_extra: str = Field(default="", max_length=1024, pattern=r"^[ -~]*$", description="more kernel arguments")

    @field_validator("cmdline_extra")
    @classmethod
    def _quotes_end(cls, text: str) -> str:
        """A kernel takes all that is behind a quote without an end for one word."""
        if text.count('"') % 2:
            raise ValueError('a quote (") has no end')
        return text

    @model_validator(mode="after")
    def _buffers_leave_memory(self) -> Self:
        """Bounce buffers are taken from the guest's memory when it boots."""
        if self.swiotlb_slabs * SWIOTLB_SLAB_BYTES * 2 > self.memory_mib << 20:
            raise ValueError("'swiotlb_slabs' (2 KiB each) may take half of 'memory_mib' at most")
        return self


class Vmm(Strict):
    """A VMM that runs guests in place of ours."""

    command: str = Field(description="jinja2 template of its command line in the host; docs/guests.md")
    files: list[Path] = Field(default_factory=list, description="copied into the host's /usr/lib/vmm, folders whole")
    worlds: list[Literal["realm", "vm"]] = Field(default=["realm", "vm"], min_length=1)

    @field_validator("command")
    @classmethod
    def _renders(cls, command: str) -> str:
        """A mistake in the template is one of the testbed file, told with its place."""
        vmm_template.check(command)
        return command


class Stack(Strict):
    """Ready-made parts that replace ours; each is shown as untested."""

    qemu: Path | None = None
    rmm: Path | None = None
    host_kernel: Path | None = None
    guest_kernel: Path | None = None
    vmm: Vmm | None = None


class Ssh(Strict):
    """Where the host's SSH server appears on loopback; port 0 takes a free one."""

    port: int = Field(default=0, ge=0, le=65535)


class Timeouts(Strict):
    """Longest wait for each named state, s."""

    firmware: Seconds = 30
    kernel: Seconds = 60
    host_ready: Seconds = 60
    ssh: Seconds = 30
    attest: Seconds = 60
    restore: Seconds = 30
    snapshot: Seconds = 60
    down: Seconds = 20
    guest_start: Seconds = 60
    guest_ready: Seconds = 120
    guest_down: Seconds = 120


class Attestation(Strict):
    """What a realm has to prove before anything is sent to it."""

    required: bool = Field(
        default=True, description="false: a realm's SSH host key is taken from its console, unproved"
    )
    policy: Path | None = Field(default=None, description="what tokens are held against [that of the emulator]")


class TestbedConfig(Strict):
    """The whole of a `testbed.yaml`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    machine: Machine
    kernel: Kernel = Kernel()
    guest: Guest = Guest()
    stack: Stack = Stack()
    ssh: Ssh = Ssh()
    attestation: Attestation = Attestation()
    timeouts: Timeouts = Timeouts()
