# SPDX-License-Identifier: Apache-2.0
"""What the machine's commands do where a guest is meant."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.cli.context import Context
    from orchestrator.testbed.guest import World
    from orchestrator.testbed.guests import GuestOptions, Guests

GUESTS = ("realm", "vm")  # as orchestrator.testbed.guest.World has them, whose import help texts need not pay


def to_world(name: str) -> World:
    """The world behind its name on the command line."""
    from orchestrator.testbed.guest import World  # noqa: PLC0415

    return World(name)


def start_guest(guests: Guests, name: str, wanted: GuestOptions) -> None:
    """Start one guest and say how that went."""
    start = guests.start(to_world(name), wanted)
    after = f"; ready after {start.seconds:.1f} s" if start.how == "started" else ""
    click.echo(f"{name}: {start.how}{after}; `orch console {name}`")


def guest_console(context: Context, name: str) -> int:
    """The VMM joins us to its guest; it is asked over the host's SSH."""
    from orchestrator.shell.ssh import terminal  # noqa: PLC0415
    from orchestrator.testbed.guest import console_command  # noqa: PLC0415

    with context.testbed.host() as link:
        context.testbed.guests.need_running(link, to_world(name))
        if sys.stdin.isatty():  # a serial line has no way to tell
            columns, lines = os.get_terminal_size(sys.stdin.fileno())
            click.echo(f"`stty cols {columns} rows {lines}` in there tells it the size of this terminal", err=True)
        return terminal(link, console_command(to_world(name)))


def guest_log(context: Context, names: tuple[str, ...], *, follow: bool) -> None:
    """The console of one guest, running or ended; what the host no longer has was kept when the guest was stopped."""
    from orchestrator.shell.ssh import execute  # noqa: PLC0415

    if len(names) > 1:
        raise UsageError(f"a guest's console has no time stamps and is shown alone: `orch logs {names[-1]}`")
    testbed, world = context.testbed, to_world(names[0])
    if follow:
        with testbed.host() as link:
            testbed.guests.need_running(link, world)
            raise click.exceptions.Exit(execute(link, ["tail", "-n", "+1", "-f", f"{world.folder}/console.log"]))
    testbed.guests.refresh_console(world)
    lines = testbed.guests.console_lines(world)
    if not lines:
        raise UsageError(f"no log of the {world} yet", hint=f"`orch up --{world}` first")
    for line in lines:
        click.echo(f"{world}| {line}")


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
