# SPDX-License-Identifier: Apache-2.0
"""`--cluster FILE`: the Dask cluster that does the boots of a run, on this computer, by Slurm, or at an address."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from orchestrator.schema.yamlfile import Strict

ADDRESS = r"^(tcp|tls)://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$"
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\n]*$")]


class Slurm(Strict):
    """How Slurm is asked for workers: a job each, through dask-jobqueue."""

    queue: Line | None = Field(default=None, description="partition; None: Slurm's own default")
    account: Line | None = None
    walltime: str = Field(default="04:00:00", pattern=r"^([0-9]+-)?[0-9]{2}:[0-9]{2}:[0-9]{2}$")
    memory_mib: int = Field(default=6144, ge=512, description="of a job, its emulators included")
    directives: list[Line] = Field(default_factory=list, description="more lines for #SBATCH, as '--exclusive'")
    skip: list[Line] = Field(default_factory=list, description="leave out #SBATCH lines that contain one of these")
    prologue: list[Line] = Field(default_factory=list, description="shell lines before the worker starts")
    interface: Line | None = Field(default=None, description="network interface of the workers")
    python: Line | None = Field(
        default=None, description="the workers' Python, with orch in it; None: the client's path"
    )
    host: Line | None = Field(default=None, description="address at which workers find the client's scheduler")


class ClusterConfig(Strict):
    """The whole of a cluster file."""

    kind: Literal["local", "slurm", "address"]
    address: str | None = Field(default=None, pattern=ADDRESS, description="of the scheduler, with kind 'address'")
    workers: int = Field(default=2, ge=1, le=1000, description="processes of kind 'local', jobs of kind 'slurm'")
    cores: int = Field(default=1, ge=1, le=256, description="of each worker; a machine takes one, or its CPUs")
    wait: float = Field(default=600, gt=0, le=86400, description="longest wait for a worker, s")
    slurm: Slurm | None = Field(default=None, description="needed with kind 'slurm'")

    @model_validator(mode="after")
    def _kind_has_its_keys(self) -> Self:
        """Each kind has what it needs, and nothing of another."""
        if self.kind == "address" and self.address is None:
            raise ValueError("kind 'address' needs the key 'address', as tcp://HOST:PORT")
        if self.kind != "address" and self.address is not None:
            raise ValueError(f"the key 'address' is for kind 'address', not '{self.kind}'")
        if self.kind == "slurm" and self.slurm is None:
            raise ValueError("kind 'slurm' needs the section 'slurm', which may be empty: {}")
        if self.kind != "slurm" and self.slurm is not None:
            raise ValueError(f"the section 'slurm' is for kind 'slurm', not '{self.kind}'")
        return self
