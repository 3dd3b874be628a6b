# SPDX-License-Identifier: Apache-2.0
"""What the machine's commands do where a guest is meant."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from orchestrator.errors import UsageError
from orchestrator.words import GUEST_WORLDS, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.cli.context import Context
    from orchestrator.testbed.guest import GuestName
    from orchestrator.testbed.guests import GuestOptions, Guests

GUESTS_OF_A_WORLD = 8


class WorldName(click.ParamType[str]):
    """The name of a world: host, of a guest (realm, realm2, vm, …), or either."""

    name = "world"

    def __init__(self, *, host: bool = True) -> None:
        self._host = host

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name itself, if it is one."""
        if not (self._host and value == "host") and not is_guest(value):
            names = ", ".join((*(["host"] if self._host else []), *GUEST_WORLDS))
            self.fail(f"'{value}' is none of {names}, or a further guest as in realm2.", param, ctx)
        return value


def is_guest(name: str) -> bool:
    """Whether it is the name of a guest, there or not."""
    from orchestrator.testbed.guest import GuestName  # noqa: PLC0415

    return GuestName.parse(name) is not None


def to_guest(text: str) -> GuestName:
    """The guest behind its name on the command line, which WorldName has checked."""
    from orchestrator.testbed.guest import GuestName  # noqa: PLC0415

    name = GuestName.parse(text)
    assert name is not None  # noqa: S101
    return name


def asked_guests(counts: Mapping[str, int]) -> list[GuestName]:
    """The guests that `--realm 2 --vm` and the like name: as many of each world."""
    from orchestrator.testbed.guest import GuestName  # noqa: PLC0415

    return [GuestName(World(world), number) for world, count in counts.items() for number in range(1, count + 1)]


def start_guest(guests: Guests, name: GuestName, wanted: GuestOptions) -> None:
    """Start one guest and say how that went."""
    start = guests.start(name, wanted)
    if start.fingerprint is None:
        click.echo(f"{name}: {start.how}; `orch console {name}`")
        return
    after = f"; SSH answered after {start.seconds:.1f} s" if start.how == "started" else ""
    proved = "attested" if start.attested else "unattested"
    click.echo(f"{name}: {start.how}{after}; host key {start.fingerprint}, {proved}; `orch ssh {name}`")


def guest_console(context: Context, text: str) -> int:
    """The VMM joins us to its guest; it is asked over the host's SSH."""
    from orchestrator.shell.ssh import terminal  # noqa: PLC0415
    from orchestrator.testbed.guest import console_command  # noqa: PLC0415

    name = to_guest(text)
    with context.testbed.host() as link:
        context.testbed.guests.need_running(link, name)
        if os.isatty(0):  # a serial line has no way to tell
            columns, lines = os.get_terminal_size(0)
            click.echo(f"`stty cols {columns} rows {lines}` in there tells it the size of this terminal", err=True)
        return terminal(link, console_command(name))


def guest_log(context: Context, names: tuple[str, ...], *, follow: bool) -> None:
    """The console of one guest, running or ended; what the host no longer has was kept when the guest was stopped."""
    from orchestrator.machine.stamping import printable  # noqa: PLC0415
    from orchestrator.shell.ssh import follow as follow_command  # noqa: PLC0415

    if len(names) > 1:
        raise UsageError(f"a guest's console has no time stamps and is shown alone: `orch logs {names[-1]}`")
    guests, name = context.testbed.guests, to_guest(names[0])
    if follow:
        with context.testbed.host() as link:
            guests.need_running(link, name)
            for line in follow_command(link, ["tail", "-n", "+1", "-f", f"{name.folder}/console.log"]):
                click.echo(f"{name}| {printable(line.rstrip(chr(13)))}")
        return
    guests.refresh_console(name)
    lines = guests.record.console_lines(name)
    if not lines:
        raise UsageError(f"no log of the {name} yet", hint="`orch up --realm --vm` starts guests")
    for line in lines:
        click.echo(f"{name}| {line}")


def in_one_line(facts: Mapping[str, object]) -> str:
    """`state` bare, then key and value of what is known; counts in brackets, without what never happened."""
    shown = []
    for key, value in facts.items():
        if isinstance(value, dict):
            counts = {name: count for name, count in value.items() if isinstance(count, int) and count}
            shown += [f"{key} [{in_one_line(counts)}]"] if counts else []
        elif value is not None:
            shown.append(str(value) if key in ("state", "detail") else f"{key} {value}")
    return ", ".join(shown)
