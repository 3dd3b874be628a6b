# SPDX-License-Identifier: Apache-2.0
"""A realm's measurement: predicted from the artifacts that it would be made of, and read inside one that runs."""

from __future__ import annotations

import hashlib
import json
import mmap
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.attest.rim import MEASUREMENTS, Algorithm, Measurements, replay
from orchestrator.build.graph import file_digest
from orchestrator.build.run import CommandError, run
from orchestrator.errors import AttestationError, UsageError
from orchestrator.schema.population import Data, parse_population
from orchestrator.schema.testbed import Guest
from orchestrator.shell import ssh
from orchestrator.shell.keys import public_blob
from orchestrator.testbed import guest
from orchestrator.testbed.guest import INITRD, KERNEL, VMM, GuestName, Start
from orchestrator.words import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fabric import Connection

    from orchestrator.testbed.testbed import Testbed

_DESCRIBER = "rvmm-describe"  # beside the VMM: its parts that need no guest, for the build computer
_MODULE = "realm_measurement.ko"
_SYSFS = "/sys/kernel/realm"
_FILES = ("hash_algo", "rim", *(f"rem{number}" for number in range(MEASUREMENTS - 1)))
_THERE = f"/tmp/{_MODULE}"  # noqa: S108 - in the realm, where nobody else is
_NO_MODULE = 3  # exit code of the script that reads


@dataclass(frozen=True)
class Expected:
    """What a realm will read, and all that it follows from; `steps` are as the VMM's description has them."""

    measurements: Measurements
    config: Guest
    command_line: str
    files: dict[str, Path]
    sha256: dict[str, str]
    steps: list[dict[str, Any]]

    def as_table(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            **self.measurements.as_table(),
            "memory_mib": self.config.memory_mib,
            "vcpus": self.config.vcpus,
            "command_line": self.command_line,
            "files": {name: str(path) for name, path in self.files.items()},
            "sha256": self.sha256,
            "steps": self.steps,
        }


def predict(testbed: Testbed, config: Guest) -> Expected:
    """Build what a realm of this testbed is made of and compute its measurement; no machine is needed."""
    nodes = testbed.project.guest_nodes(testbed.graph, (KERNEL, INITRD, VMM))
    testbed.builder.build(list(nodes.values()))
    testbed.keys.ensure()
    start = Start(GuestName(World.REALM), config, guest.kernel_command_line(config, public_blob(testbed.keys.user)), 0)
    files = {"kernel": testbed.guests.source(KERNEL), "initrd": testbed.guests.source(INITRD)}
    return predict_start(testbed.guests.source(VMM).with_name(_DESCRIBER), start, files)


def predict_start(describer: Path, start: Start, files: Mapping[str, Path]) -> Expected:
    """The measurement of a realm that starts like this from these files (kernel, initrd)."""
    text = _describe(describer, start, files)
    steps = parse_population(text)
    with _mapped(files["kernel"]) as kernel, _mapped(files["initrd"]) as initrd:
        measurements = replay(steps, {"kernel": kernel, "initrd": initrd})
    carried = {step.source: step.content for step in steps if isinstance(step, Data) and step.content is not None}
    return Expected(
        measurements=measurements,
        config=start.config,
        command_line=start.command_line,
        files=dict(files),
        sha256={name: file_digest(path) for name, path in files.items()}
        | {name: hashlib.sha256(content).hexdigest() for name, content in carried.items()},
        steps=[json.loads(line) for line in text.splitlines()],
    )


def _describe(describer: Path, start: Start, files: Mapping[str, Path]) -> str:
    """What the VMM would make of its very command line, but for where the files are."""
    here = {KERNEL.path: str(files["kernel"]), INITRD.path: str(files["initrd"])}
    options = [here.get(word, word) for word in guest.vmm_command(start)[2:]]
    try:
        return run([describer, "describe", *options], timeout=60).stdout
    except CommandError as error:
        raise UsageError(f"no realm can be made of this: {error.output.strip() or error.message}") from None


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    """A file's bytes without a copy; the VMM takes no empty ones."""
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
    ):
        yield view


def started_config(testbed: Testbed, name: GuestName) -> Guest:
    """How a guest was started, whatever the testbed file says by now; raises UsageError if it never was."""
    known = testbed.guests.record.guest(name)
    if not known:
        raise UsageError(f"the {name} was not started", hint="`orch up --realm`")
    return Guest.model_validate({key: value for key, value in known.items() if key in Guest.model_fields})


def module_for(testbed: Testbed) -> Path:
    """The module that reads, built for the guests' own kernel; raises UsageError where that is somebody else's."""
    if testbed.project.config.stack.guest_kernel is not None:
        raise UsageError(
            "the module that reads a realm's measurements fits our own kernel, and stack.guest_kernel is not"
        )
    node = testbed.project.guest_module(testbed.graph, "realm-measurement")
    testbed.builder.build([node])
    return testbed.builder.artifact(node) / _MODULE


def read(link: Connection, module: Path) -> Measurements:
    """A realm's measurements as it reads them itself; `link` leads into it, and nothing stays there.

    Raises AttestationError if it is no realm or answers with something else than measurements.
    """
    ssh.put(link, module, _THERE)
    done = ssh.attempt(link, _read_script())
    if done.code == _NO_MODULE:
        raise AttestationError(f"no measurements can be read: {done.words}")
    values = done.stdout.split()
    if done.code or len(values) != len(_FILES):
        raise AttestationError(f"no measurements were read: {done.words}")
    return parse_measurements(values[0], values[1:])


def _read_script() -> str:
    """Shell for a realm: load the module, print its files, unload it; its own words where it does not load."""
    said = "dmesg | sed -n 's/.*realm_measurement: //p' | tail -n 1"
    return (
        f"words=$(insmod {_THERE} 2>&1); code=$?; rm {_THERE}; "
        f'if [ $code != 0 ]; then said=$({said}); echo "${{said:-$words}}" >&2; exit {_NO_MODULE}; fi; '
        f"cd {_SYSFS} && cat {' '.join(_FILES)}; code=$?; cd /; rmmod {_MODULE.removesuffix('.ko')}; exit $code"
    )


def parse_measurements(label: str, values: list[str]) -> Measurements:
    """Measurements from the algorithm's name and hexadecimal values, RIM first; raises AttestationError."""
    algorithm = next((each for each in Algorithm if each.label == label), None)
    if algorithm is None:
        raise AttestationError(f"the realm names an unknown hash algorithm: {label}")
    try:
        rim, *rems = (bytes.fromhex(value) for value in values)
    except ValueError:
        raise AttestationError("the realm's measurements are no hexadecimal numbers") from None
    if any(len(value) != algorithm.size for value in (rim, *rems)) or len(rems) != MEASUREMENTS - 1:
        raise AttestationError(f"the realm's measurements are not {MEASUREMENTS} values of {label}")
    return Measurements(algorithm, rim, tuple(rems))
