# SPDX-License-Identifier: Apache-2.0
"""A Slurm of one node on loopback, from the distribution's packages, all of it in one folder; for root."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")
PACKAGES = ("slurm-wlm", "munge")
_READY = 60.0  # s

_CONF = """\
ClusterName=orch
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/d
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
KillWait=5
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there can be no Slurm here, after its packages were installed if that is possible."""
    if os.getuid() != 0:
        return "only root can start a Slurm"
    if any(shutil.which(program) is None for program in PROGRAMS):
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(install, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            return f"slurm-wlm and munge cannot be installed: {done.stderr.strip().splitlines()[-1:]}"
    return None


def _ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return found


@dataclass
class Slurm:
    """munged, slurmctld and slurmd, for as long as the context lasts; they alone are ended, by pid."""

    folder: Path
    cores: int = 2
    memory_mib: int = 12288
    _daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What makes Slurm's commands speak to this one."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def __enter__(self) -> Slurm:
        for name in ("ctld", "d"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        text = _CONF.format(
            host=socket.gethostname(), ports=_ports(2), folder=self.folder, cores=self.cores, memory=self.memory_mib
        )
        (self.folder / "slurm.conf").write_text(text, encoding="utf-8")
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={self.folder}/munge.{name}" for option, name in files.items()]
        try:
            self._start("munged", "--foreground", "--force", *options)
            self._start("slurmctld", "-D", "-c")
            self._start("slurmd", "-D", "-c")
            self._await_idle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def queue(self) -> str:
        """Slurm's own list of jobs, a line each."""
        return self._ask("squeue", "--noheader", "--format=%i %j %T")

    def _start(self, *argv: str) -> None:
        with (self.folder / f"{argv[0]}.out").open("ab") as output:
            environment = os.environ | self.environment
            self._daemons.append(
                subprocess.Popen(list(argv), stdout=output, stderr=output, env=environment, start_new_session=True)
            )

    def _ask(self, *argv: str) -> str:
        environment = os.environ | self.environment
        return subprocess.run(list(argv), capture_output=True, text=True, check=False, env=environment).stdout.strip()

    def _await_idle(self) -> None:
        deadline = time.monotonic() + _READY
        while self._ask("sinfo", "--noheader", "--format=%T") != "idle":
            logs = "".join(path.read_text(errors="replace")[-1000:] for path in sorted(self.folder.glob("slurm*.log")))
            assert time.monotonic() < deadline, logs
            time.sleep(0.5)
