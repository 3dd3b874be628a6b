# SPDX-License-Identifier: Apache-2.0
"""`orch measure`: what a realm's measurement will be, and whether a running one has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.context import Context, pass_context
from orchestrator.cli.guest import WorldName, to_guest
from orchestrator.errors import AttestationError, UsageError

if TYPE_CHECKING:
    from orchestrator.attest.rim import Measurements
    from orchestrator.schema.testbed import Guest
    from orchestrator.testbed.guest import GuestName
    from orchestrator.testbed.guests import GuestOptions


@click.command("measure")
@click.option("--mem", type=int, metavar="MIB", help="memory of the realm [guest.memory_mib; with --read as it has]")
@click.option("--vcpus", type=int, metavar="N", help="vCPUs of the realm [guest.vcpus; with --read as it has]")
@click.option(
    "--read", "name", type=WorldName(host=False), metavar="REALM", help="compare with what REALM reads itself"
)
@click.option("--json", "as_json", is_flag=True, help="machine-readable, with every step of the measurement")
@pass_context
def measure(context: Context, *, mem: int | None, vcpus: int | None, name: str | None, as_json: bool) -> None:
    """Compute a realm's initial measurement (RIM) from artifacts alone; exit code 5 if REALM has another one."""
    from orchestrator.testbed.guests import GuestOptions  # noqa: PLC0415
    from orchestrator.testbed.measurement import predict  # noqa: PLC0415

    options = GuestOptions(memory_mib=mem, vcpus=vcpus)
    testbed = context.testbed
    if name is None:
        _show(predict(testbed, testbed.guests.config(options)).as_table(), as_json=as_json)
        return
    realm = _realm(name)
    expected = predict(testbed, _as_started(context, realm, options))
    found = _read(context, realm)
    equal = found.algorithm is expected.measurements.algorithm and found.rim == expected.measurements.rim
    _show(expected.as_table() | {"realm": name, "read": found.as_table(), "equal": equal}, as_json=as_json)
    if not equal:
        raise AttestationError(
            f"the {name} does not have the measurement that this testbed's artifacts give",
            hint="they, the testbed file or its keys have changed since it was started, or the host made another realm",
        )


def _realm(name: str) -> GuestName:
    from orchestrator.words import World  # noqa: PLC0415

    realm = to_guest(name)
    if realm.world is not World.REALM:
        raise UsageError(f"the {name} is no realm: nothing measures it")
    return realm


def _as_started(context: Context, realm: GuestName, options: GuestOptions) -> Guest:
    from orchestrator.testbed.measurement import started_config  # noqa: PLC0415

    return context.testbed.guests.config(options, started_config(context.testbed, realm))


def _read(context: Context, realm: GuestName) -> Measurements:
    from orchestrator.testbed.measurement import module_for, read  # noqa: PLC0415

    module = module_for(context.testbed)
    with context.testbed.world(str(realm)).link() as link:
        return read(link, module)


def _show(table: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(table, indent=1))
        return
    lines = [
        ("RIM", table["rim"]),
        ("algorithm", table["algorithm"]),
        ("memory", f"{table['memory_mib']} MiB"),
        ("vCPUs", table["vcpus"]),
        ("command line", table["command_line"]),
        *((f"{name} sha256", digest) for name, digest in table["sha256"].items()),
    ]
    if "read" in table:
        lines += _read_lines(table)
    for key, value in lines:
        click.echo(f"{key:14} {value}")


def _read_lines(table: dict[str, Any]) -> list[tuple[str, str]]:
    """The realm's own RIM with the verdict, and the REMs that something in there has extended."""
    found = table["read"]
    extended = [(f"REM {number}", rem) for number, rem in enumerate(found["rems"]) if int(rem, 16)]
    verdict = "equal" if table["equal"] else "different"
    return [(f"{table['realm']} reads", f"{found['rim']} ({found['algorithm']}): {verdict}"), *extended]


COMMANDS = (measure,)
