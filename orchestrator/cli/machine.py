# SPDX-License-Identifier: Apache-2.0
"""`orch up`, `down`, `status`, `ssh`, `cp`, `console`, `logs`, `counters`: the machine and its guests."""

from __future__ import annotations

import json
import os
import select
import shlex
import termios
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.context import Context, pass_context
from orchestrator.cli.guest import (
    GUESTS_OF_A_WORLD,
    WorldName,
    asked_guests,
    guest_console,
    guest_log,
    in_one_line,
    is_guest,
    start_guest,
    to_guest,
)
from orchestrator.errors import UsageError
from orchestrator.files import write_whole
from orchestrator.words import GUEST_WORLDS

if TYPE_CHECKING:
    import socket

    from orchestrator.testbed.guest import GuestName
    from orchestrator.testbed.guests import GuestOptions
    from orchestrator.testbed.testbed import UpOptions

_COUNT = click.IntRange(1, GUESTS_OF_A_WORLD)
_ESCAPE = 0x1D  # Ctrl-]
_FOLLOW = 0.1  # s between looks at growing logs


@click.command("up")
@click.option("--fresh", is_flag=True, help="boot cold even if a snapshot could be restored")
@click.option("--deterministic", is_flag=True, help="virtual time driven by instructions, fixed clock and seed")
@click.option("--count", is_flag=True, help="count instructions by world and exception level")
@click.option("--count-mode", type=click.Choice(["fast", "reference", "both"]), default="fast", help="with --count")
@click.option("--realm", type=_COUNT, is_flag=False, flag_value=1, metavar="[N]", help="then start a realm, or N")
@click.option("--vm", type=_COUNT, is_flag=False, flag_value=1, metavar="[N]", help="then start a normal VM, or N")
@click.option("--mem", type=int, metavar="MIB", help="memory of the guests started [guest.memory_mib]")
@click.option("--vcpus", type=int, metavar="N", help="vCPUs of the guests started [guest.vcpus]")
@click.option("--pretouch", is_flag=True, help="give the guests started all of their memory before they run")
@click.option("--frozen", is_flag=True, help="refuse to replace a pinned package that the mirror has dropped")
@click.option("--dry-run", is_flag=True, help="print what would be built, and the command lines of emulator and VMM")
@pass_context
def up(
    context: Context,
    *,
    realm: int | None,
    vm: int | None,
    mem: int | None,
    vcpus: int | None,
    pretouch: bool,
    fresh: bool,
    deterministic: bool,
    count: bool,
    count_mode: str,
    frozen: bool,
    dry_run: bool,
) -> None:
    """Bring the machine up: build what is missing, restore its snapshot or boot, wait for SSH; then the guests."""
    from orchestrator.testbed.guests import GuestOptions  # noqa: PLC0415
    from orchestrator.testbed.testbed import UpOptions  # noqa: PLC0415

    context.frozen = frozen
    names = asked_guests(dict(zip(GUEST_WORLDS, (realm or 0, vm or 0), strict=True)))
    if not names and (mem is not None or vcpus is not None or pretouch):
        raise UsageError("--mem, --vcpus and --pretouch are about guests: add --realm or --vm")
    options = UpOptions(fresh=fresh, deterministic=deterministic, count=count, count_mode=count_mode)
    wanted = GuestOptions(memory_mib=mem, vcpus=vcpus, pretouch=pretouch)
    guests = context.testbed.guests
    guests.config(wanted)
    if dry_run:
        _dry_up(context, options, names, wanted)
        return
    guests.build([name.world for name in names])  # a mistake in there should not cost a boot
    result = context.testbed.up(options)
    click.echo(f"{result.how}; SSH on 127.0.0.1:{result.ssh_port} after {result.seconds:.1f} s; `orch ssh host`")
    for name in names:
        start_guest(guests, name, wanted)


def _dry_up(context: Context, options: UpOptions, names: list[GuestName], wanted: GuestOptions) -> None:
    from orchestrator.testbed.guest import start_command  # noqa: PLC0415

    testbed = context.testbed
    nodes = [
        *context.project.machine_nodes(testbed.graph).values(),
        *testbed.guests.nodes([name.world for name in names]),
    ]
    for line in testbed.builder.commands(testbed.builder.plan(list(dict.fromkeys(nodes)))):
        click.echo(line)
    blueprint = testbed.blueprint(testbed.artifacts(), options, context.project.ssh_port)
    click.echo(shlex.join(testbed.platform.command_line(blueprint)))
    for name in names:
        plan = testbed.guests.plan(name, wanted, seed=options.seed if options.deterministic else None)
        click.echo(shlex.join(start_command(plan)))


@click.command("down")
@click.argument("world", type=WorldName(host=False), required=False)
@pass_context
def down(context: Context, world: str | None) -> None:
    """Stop the machine with its guests, or just the guest WORLD; nothing of it is left."""
    if world is None:
        click.echo("stopped" if context.testbed.down() else "was not up")
    elif context.testbed.running() is None:
        click.echo(f"{world}: was not up")
    else:
        click.echo(f"{world}: {context.testbed.guests.stop(to_guest(world))}")


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="machine-readable")
@pass_context
def status(context: Context, *, as_json: bool) -> None:
    """State of the machine, and of the workers of a run that goes on; exit code 0 whether any is up or not."""
    from orchestrator.experiment.board import workers_of  # noqa: PLC0415

    table = context.testbed.status() | {"workers": workers_of(context.project)}
    if as_json:
        click.echo(json.dumps(table, indent=1, sort_keys=True))
        return
    guests, workers = table.pop("guests"), table.pop("workers")
    table["untested"] = "; ".join(table["untested"])
    for key, value in table.items():
        click.echo(f"{key:14} {'' if value is None else value}")
    for name, facts in guests.items():
        click.echo(f"{name:14} {in_one_line(facts)}")
    for each in workers:
        told = (each["place"], each["machine"], each["job"], each["doing"])
        click.echo(f"{each['worker']:14} {'; '.join(filter(None, told))}")


@click.command("ssh", context_settings={"ignore_unknown_options": True})
@click.argument("world", type=WorldName())
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_context
def ssh(context: Context, world: str, command: tuple[str, ...]) -> None:
    """Log in to WORLD, or run COMMAND there (after --) and exit with its exit code, 128 + N if signal N ended it."""
    from orchestrator.shell.ssh import execute, login  # noqa: PLC0415

    with context.testbed.world(world).link() as link:
        code = execute(link, command) if command else login(link)
    raise click.exceptions.Exit(code)


@click.command("cp")
@click.argument("source")
@click.argument("target")
@pass_context
def cp(context: Context, source: str, target: str) -> None:
    """Copy a file or folder; one of SOURCE and TARGET is WORLD:PATH, as in host:/tmp/x or realm:/tmp/x.

    A relative PATH is in the world's home folder; as a target, WORLD: alone is that folder.
    """
    from orchestrator.shell.ssh import get, put  # noqa: PLC0415

    (from_world, from_path), (to_world, to_path) = _split(source), _split(target)
    if not from_path:
        raise UsageError(f"SOURCE '{source}' names no file", hint=f"as in {from_world or 'host'}:/tmp/x")
    if from_world and not to_world:
        with context.testbed.world(from_world).link() as link:
            get(link, from_path, Path(target))
    elif to_world and not from_world:
        with context.testbed.world(to_world).link() as link:
            put(link, Path(source), to_path)
    else:
        raise UsageError("exactly one of SOURCE and TARGET names a world, as in host:/tmp/x or realm:/tmp/x")


def _split(side: str) -> tuple[str, str]:
    """World and path; the world is empty for a path of the build computer."""
    name, colon, path = side.partition(":")
    return (name, path) if colon and (name == "host" or is_guest(name)) else ("", side)


@click.command("console")
@click.argument("world", type=WorldName(), default="host")
@click.option("--uart", metavar="NAME", help="of the host [uart0]; uart1 is EL3's crash console")
@pass_context
def console(context: Context, world: str, uart: str | None) -> None:
    """Talk to the console of WORLD, or of the machine itself (host); Ctrl-] leaves."""
    testbed = context.testbed
    testbed.need_running()
    if world != "host":
        if uart is not None:
            raise UsageError(f"--uart is about the host: the {world} has one console")
        raise click.exceptions.Exit(guest_console(context, world))
    consoles = testbed.instance.consoles
    uart = uart or consoles[0]
    if uart not in consoles:
        raise UsageError(f"--uart {uart}: the machine has {', '.join(consoles)}")
    with testbed.instance.attach(uart) as link:
        click.echo(f"connected to {uart}; Ctrl-] leaves", err=True)
        _talk(link)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _talk(link: socket.socket) -> None:
    """Join the terminal to the UART until either side ends."""
    source = 0  # not sys.stdin, which does not exist where descriptor 0 is closed
    saved = termios.tcgetattr(source) if os.isatty(source) else None
    watched: list[int] = [*([source] if _is_open(source) else []), link.fileno()]
    try:
        if saved:
            tty.setraw(source)
        while link.fileno() in watched:
            ready, _, _ = select.select(watched, [], [])
            if link.fileno() in ready:
                data = link.recv(4096)
                if not data:
                    return
                write_whole(1, data)
            if source in ready:
                typed = os.read(source, 4096)
                if _ESCAPE in typed:
                    return
                if not typed:  # end of a pipe: keep showing what the machine says
                    watched.remove(source)
                link.sendall(typed)
    finally:
        if saved:
            termios.tcsetattr(source, termios.TCSADRAIN, saved)


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="go on as lines arrive")
@click.argument("names", nargs=-1)
@pass_context
def logs(context: Context, names: tuple[str, ...], *, follow: bool) -> None:
    """Time-stamped logs of all UARTs, or of NAMES, merged by time and tagged; a guest (realm, vm) is shown alone."""
    if any(is_guest(name) for name in names):
        guest_log(context, names, follow=follow)
        return
    files = context.testbed.console_logs()
    unknown = sorted(set(names) - set(files))
    if unknown:
        raise UsageError(f"no log named '{unknown[0]}'", hint=f"there are: {', '.join(files) or 'none yet'}")
    if not files:
        raise UsageError("no logs yet", hint="`orch up` first")
    readers = {
        name: path.open(encoding="utf-8", errors="replace")
        for name, path in files.items()
        if not names or name in names
    }
    while True:
        fresh = sorted((line, name) for name, reader in readers.items() for line in reader.readlines())
        for line, name in fresh:
            click.echo(f"{name}| {line.rstrip()}")
        if not follow:
            return
        time.sleep(_FOLLOW)


@click.command("counters")
@click.option("--json", "as_json", is_flag=True, help="machine-readable, with every vCPU and all markers")
@pass_context
def counters(context: Context, *, as_json: bool) -> None:
    """Instructions executed so far, by world and exception level (needs `orch up --count`)."""
    from orchestrator.trace.table import as_table, totals_table  # noqa: PLC0415

    counter = context.testbed.counter()
    if as_json:
        click.echo(json.dumps(as_table(counter), indent=1, sort_keys=True))
        return
    for line in totals_table(counter.counters()):
        click.echo(line)


COMMANDS = (up, down, status, ssh, cp, console, logs, counters)
