# SPDX-License-Identifier: Apache-2.0
"""Reach a Dask cluster, or make the one that a cluster file describes."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import EnvError, UsageError
from orchestrator.schema.cluster import ClusterConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONNECT = 20.0  # s
_LEAVE = 5.0  # s
_CALM = {
    "distributed.worker.profile.enabled": False,  # looks a hundred times a second at threads that wait
    "distributed.admin.tick.interval": "1s",  # of each server's clock, which is 20 ms
    "distributed.admin.system-monitor.interval": "5s",
}
"""For a cluster that shares its cores with the emulators."""
_NO_DASHBOARD = "127.0.0.1:0"  # there is always a server, but it need not be in anybody's way


@dataclass
class Connection:
    """A client of a cluster, and the cluster itself if it is ours; `patience` (s) is the longest wait for a worker."""

    client: Any
    name: str
    patience: float
    own: Any = None

    def close(self) -> None:
        """Leave; a cluster of our own ends with all of its workers."""
        for each in filter(None, (self.client, self.own)):
            with suppress(Exception):  # it may be gone, and nothing is to be done about that
                each.close(timeout=_LEAVE)


def at_address(address: str) -> ClusterConfig:
    """The description of a cluster whose scheduler is there; raises UsageError for what is no address."""
    try:
        return ClusterConfig(kind="address", address=address)
    except ValueError:
        raise UsageError(f"--scheduler {address}: expected tcp://HOST:PORT") from None


def need_dask(*modules: str) -> None:
    """Raises EnvError with what to install if the package's extra is missing."""
    for name in modules or ("distributed",):
        try:
            with _keeping_ctrl_c():
                importlib.import_module(name)
        except ImportError:
            raise EnvError(
                f"a cluster needs the Python package {name.replace('_', '-')}, which is not installed",
                hint=f"{sys.executable} -m pip install 'orchestrator[cluster]', or `make venv` in the checkout",
            ) from None


@contextmanager
def _keeping_ctrl_c() -> Iterator[None]:
    """What imports dask_jobqueue (0.9.0) has its SIGINT replaced by one that ends the process with code 0."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)


def connect(config: ClusterConfig, logs: Path) -> Connection:
    """Reach or make the cluster; Slurm's jobs leave their logs in the folder `logs`. Raises EnvError."""
    need_dask(*(("distributed", "dask_jobqueue") if config.kind == "slurm" else ("distributed",)))
    _quiet()
    if config.kind == "address":
        assert config.address is not None  # noqa: S101 - by its schema
        return Connection(_client(config.address), config.address, config.wait)
    own = _local(config) if config.kind == "local" else _slurm(config, logs)
    try:
        return Connection(_client(own), f"{config.kind} cluster", config.wait, own)
    except BaseException:
        own.close(timeout=_LEAVE)
        raise


def _quiet() -> None:
    """Dask's own words about workers that come and go are not for our users; errors are told in ours."""
    known = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    for name in ("distributed", "asyncio", "tornado", *known):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _client(where: Any) -> Any:
    from distributed import Client  # noqa: PLC0415 - an extra

    try:
        return Client(where, timeout=_CONNECT, set_as_default=False, name="orch")
    except (OSError, TimeoutError) as error:
        raise EnvError(
            f"{where}: no Dask scheduler answers: {error}", hint="`dask scheduler` prints its address when it starts"
        ) from None


def _local(config: ClusterConfig) -> Any:
    """Worker processes on this computer, without memory limits: those would not see the emulators anyway."""
    import dask  # noqa: PLC0415
    from distributed import LocalCluster  # noqa: PLC0415

    dask.config.set(_CALM)
    return LocalCluster(
        n_workers=config.workers,
        threads_per_worker=config.cores,
        processes=True,
        memory_limit=0,
        host="127.0.0.1",
        dashboard_address=_NO_DASHBOARD,
        worker_dashboard_address=_NO_DASHBOARD,
        silence_logs=logging.CRITICAL,
    )


def _slurm(config: ClusterConfig, logs: Path) -> Any:
    from dask_jobqueue import SLURMCluster  # noqa: PLC0415

    slurm = config.slurm
    assert slurm is not None  # noqa: S101 - by its schema
    os.makedirs(logs, exist_ok=True)  # noqa: PTH103 - a name that dask-jobqueue makes as well
    options = {"dashboard_address": _NO_DASHBOARD} | ({"host": slurm.host} if slurm.host else {})
    cluster = SLURMCluster(
        queue=slurm.queue,
        account=slurm.account,
        walltime=slurm.walltime,
        cores=config.cores,
        processes=1,
        memory=f"{slurm.memory_mib}MiB",
        worker_extra_args=["--memory-limit", "0"],  # Slurm's own limit sees the emulators, Dask's would not
        job_extra_directives=list(slurm.directives),
        job_directives_skip=list(slurm.skip),
        job_script_prologue=list(slurm.prologue),
        interface=slurm.interface,
        python=slurm.python or sys.executable,
        log_directory=str(logs),
        job_name="orch",
        scheduler_options=options,
        silence_logs="critical",
    )
    cluster.scale(jobs=config.workers)
    return cluster
