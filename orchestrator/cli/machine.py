# SPDX-License-Identifier: Apache-2.0
"""`orch up`, `down`, `status`, `ssh`, `cp`, `console`, `logs`, `counters`."""

from __future__ import annotations

import json
import os
import select
import shlex
import sys
import termios
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.context import Context, pass_context
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    import socket

WORLDS = click.Choice(["host"])
_ESCAPE = 0x1D  # Ctrl-]
_FOLLOW = 0.1  # s between looks at growing logs


@click.command("up")
@click.option("--fresh", is_flag=True, help="boot cold even if a snapshot could be restored")
@click.option("--deterministic", is_flag=True, help="virtual time driven by instructions, fixed clock and seed")
@click.option("--count", is_flag=True, help="count instructions by world and exception level")
@click.option("--count-mode", type=click.Choice(["fast", "reference", "both"]), default="fast", help="with --count")
@click.option("--frozen", is_flag=True, help="refuse to replace a pinned package that the mirror has dropped")
@click.option("--dry-run", is_flag=True, help="print what would be built and the emulator's command line")
@pass_context
def up(
    context: Context,
    *,
    fresh: bool,
    deterministic: bool,
    count: bool,
    count_mode: str,
    frozen: bool,
    dry_run: bool,
) -> None:
    """Bring the machine up: build what is missing, restore its snapshot or boot, wait for SSH."""
    from orchestrator.testbed.testbed import UpOptions  # noqa: PLC0415

    context.frozen = frozen
    options = UpOptions(fresh=fresh, deterministic=deterministic, count=count, count_mode=count_mode)
    if dry_run:
        _dry_up(context, options)
        return
    result = context.testbed.up(options)
    click.echo(f"{result.how}; SSH on 127.0.0.1:{result.ssh_port} after {result.seconds:.1f} s; `orch ssh host`")


def _dry_up(context: Context, options: object) -> None:
    from orchestrator.machine.cmdline import command_line  # noqa: PLC0415
    from orchestrator.testbed.testbed import UpOptions  # noqa: PLC0415

    assert isinstance(options, UpOptions)  # noqa: S101 - for the type checker
    testbed = context.testbed
    nodes = list(context.project.machine_nodes(testbed.graph).values())
    for line in testbed.builder.commands(testbed.builder.plan(nodes)):
        click.echo(line)
    spec = testbed.spec(testbed.artifacts(), options, context.project.config.ssh.port)
    click.echo(shlex.join(command_line(spec)))


@click.command("down")
@pass_context
def down(context: Context) -> None:
    """Stop the machine; nothing of it is left."""
    click.echo("stopped" if context.testbed.down() else "was not up")


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="machine-readable")
@pass_context
def status(context: Context, *, as_json: bool) -> None:
    """State of the machine; exit code 0 whether it is up or not."""
    table = context.testbed.status()
    if as_json:
        click.echo(json.dumps(table, indent=1, sort_keys=True))
        return
    for key, value in table.items():
        click.echo(f"{key:14} {'' if value is None else value}")


@click.command("ssh", context_settings={"ignore_unknown_options": True})
@click.argument("world", type=WORLDS)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_context
def ssh(context: Context, world: str, command: tuple[str, ...]) -> None:
    """Log in to WORLD, or run COMMAND there (after --) and exit with its exit code."""
    from orchestrator.shell.ssh import execute, login  # noqa: PLC0415

    del world
    with context.testbed.host() as link:
        if command:
            raise click.exceptions.Exit(execute(link, command))
        raise click.exceptions.Exit(login(link))


@click.command("cp")
@click.argument("source")
@click.argument("target")
@pass_context
def cp(context: Context, source: str, target: str) -> None:
    """Copy a file or folder; one of SOURCE and TARGET is WORLD:PATH, as in host:/tmp/x."""
    from orchestrator.shell.ssh import get, put  # noqa: PLC0415

    there = [side.startswith("host:") for side in (source, target)]
    if there == [True, False]:
        with context.testbed.host() as link:
            get(link, source.removeprefix("host:"), Path(target))
    elif there == [False, True]:
        with context.testbed.host() as link:
            put(link, Path(source), target.removeprefix("host:"))
    else:
        raise UsageError("exactly one of SOURCE and TARGET names a world, as in host:/tmp/x")


@click.command("console")
@click.option("--uart", type=click.Choice(["uart0", "uart1"]), default="uart0", help="uart1 is EL3's crash console")
@pass_context
def console(context: Context, uart: str) -> None:
    """Talk to a UART of the running machine; Ctrl-] leaves."""
    testbed = context.testbed
    testbed.need_running()
    with testbed.instance.attach(uart) as link:
        click.echo(f"connected to {uart}; Ctrl-] leaves", err=True)
        _talk(link)


def _talk(link: socket.socket) -> None:
    """Join the terminal to the UART until either side ends."""
    source = sys.stdin.fileno()
    saved = termios.tcgetattr(source) if os.isatty(source) else None
    watched: list[int] = [source, link.fileno()]
    try:
        if saved:
            tty.setraw(source)
        while link.fileno() in watched:
            ready, _, _ = select.select(watched, [], [])
            if link.fileno() in ready:
                data = link.recv(4096)
                if not data:
                    return
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
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
    """Time-stamped logs of all UARTs, or of NAMES, merged by time and tagged."""
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
    from orchestrator.trace.counters import CounterClient  # noqa: PLC0415
    from orchestrator.trace.table import as_table, totals_table  # noqa: PLC0415

    client = CounterClient(context.testbed.counter_socket())
    if as_json:
        click.echo(json.dumps(as_table(client), indent=1, sort_keys=True))
        return
    for line in totals_table(client.counters()):
        click.echo(line)


COMMANDS = (up, down, status, ssh, cp, console, logs, counters)
