# SPDX-License-Identifier: Apache-2.0
"""`orch build`, `orch lock`, `orch show`."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click
import yaml

from orchestrator.build.bootstrap import pace, spoken
from orchestrator.build.schedule import alone, estimate
from orchestrator.cli.context import Context, pass_context

if TYPE_CHECKING:
    from orchestrator.build.graph import Node
    from orchestrator.build.schedule import Planned


@click.command("build")
@click.argument("nodes", nargs=-1, metavar="[NODE[:KEY=VALUE,…]]…")
@click.option("--why", is_flag=True, help="say what changed, for each node that has to be built")
@click.option("--frozen", is_flag=True, help="refuse to replace a pinned package that the mirror has dropped")
@click.option("--dry-run", is_flag=True, help="print the recipes' commands, build nothing")
@pass_context
def build(context: Context, nodes: tuple[str, ...], *, why: bool, frozen: bool, dry_run: bool) -> None:
    """Build NODEs (all that the machine needs by default); what is in the cache is kept."""
    context.frozen = frozen
    testbed = context.testbed
    targets = _targets(context, nodes)
    planned = testbed.builder.plan(targets)
    if why or dry_run:
        _explain(planned)
    if dry_run:
        for line in testbed.builder.commands(planned):
            click.echo(line)
        return
    testbed.builder.build(targets)
    for node in targets:
        click.echo(f"{node.label}: {testbed.builder.artifact(node)}")


def _targets(context: Context, requests: tuple[str, ...]) -> list[Node]:
    testbed = context.testbed
    if requests:
        return [context.project.node(testbed.graph, request) for request in requests]
    return list(dict.fromkeys(context.project.machine_nodes(testbed.graph).values()))


def _explain(planned: list[Planned]) -> None:
    if not planned:
        click.echo("nothing to build")
    for item in planned:
        for reason in item.reasons:
            click.echo(f"{item.node.label}: {reason}")


def print_plan(context: Context, planned: list[Planned]) -> None:
    """What a build will download and make, with sizes and an estimate."""
    if not planned:
        click.echo("plan: everything is built")
        return
    names = sorted({name for item in planned for name in item.node.spec.packages})
    sizes = {name: context.testbed.packages.download_bytes(name) for name in names}
    click.echo(f"plan: download {sum(sizes.values()) / 1e6:.0f} MB, build {len(planned)} artifacts")
    for name, size in sizes.items():
        click.echo(f"  fetch  {name:18} {f'{size / 1e6:8.1f} MB' if size else '  in cache'}")
    cores = os.cpu_count() or 1
    for item in planned:
        seconds = alone(item.node, cores) * pace()
        click.echo(f"  build  {item.node.label:18} ~{seconds:4.0f} s  {item.node.spec.mib:6} MiB  {item.reasons[0]}")
    click.echo(
        f"  about {spoken(estimate(planned, cores) * pace())} on the {cores} cores of this computer, "
        "less where the compiler cache has it"
    )


@click.command("lock")
@click.option("--update", is_flag=True, help="take the newest acceptable versions and rewrite the lock")
@click.argument("names", nargs=-1, metavar="[SET]…")
@pass_context
def lock(context: Context, names: tuple[str, ...], *, update: bool) -> None:
    """Show what is pinned, or --update it (these package SETs only, if given) and show the difference."""
    from orchestrator.build import lockfile  # noqa: PLC0415

    if not update:
        _show_pins(context)
        return
    with context.progress.stage("resolve package sets", estimate=60):
        project, cache = context.project.root, context.testbed.cache.root
        result = lockfile.update(project, cache, names, notify=context.progress.notice)
    click.echo("\n".join(result.changes) if result.changes else "the lock is up to date")


def _show_pins(context: Context) -> None:
    store = context.testbed.packages
    for name in store.names():
        missing = store.download_bytes(name)
        state = f"{missing / 1e6:.1f} MB to fetch" if missing else "in cache"
        click.echo(f"{name:18} {store.version(name):32} {state}")
    for each in store.substitutions():
        click.echo(f"substituted: {each}")


@click.group("show")
def show() -> None:
    """Print the resolved configuration, the artifact graph or the emulator's command line."""


@show.command("config")
@pass_context
def show_config(context: Context) -> None:
    """The testbed file with every default filled in."""
    click.echo(f"# {context.project.testbed_file}")
    yaml.safe_dump(context.project.config.model_dump(mode="json"), sys.stdout, sort_keys=False)


@show.command("graph")
@click.option("--json", "as_json", is_flag=True, help="manifests and keys as JSON")
@pass_context
def show_graph(context: Context, *, as_json: bool) -> None:
    """Nodes of this machine, what they are made of and whether they are built."""
    from orchestrator.build.graph import in_order  # noqa: PLC0415

    testbed = context.testbed
    nodes = in_order(list(context.project.machine_nodes(testbed.graph).values()))
    if as_json:
        keys = testbed.builder.keys
        table = {node.label: {"key": keys.key(node), "manifest": keys.manifest(node)} for node in nodes}
        click.echo(json.dumps(table, indent=1, sort_keys=True))
        return
    for node in nodes:
        key = testbed.builder.keys.key(node)
        state = "built" if testbed.cache.has(key) else "to build"
        below = [other.label for other in node.upstream] + [f"[{name}]" for name in node.spec.packages]
        click.echo(f"{node.label:18} {key[:12]}  {state:8}  {node.spec.summary}")
        if below:
            click.echo(f"{'':18} <- {', '.join(below)}")


@show.command("cmdline")
@click.option("--deterministic", is_flag=True, help="as with `orch up --deterministic`")
@click.option("--count", is_flag=True, help="as with `orch up --count`")
@click.option("--by-hand", is_flag=True, help="console and monitor on the terminal, to run it without orch")
@pass_context
def show_cmdline(context: Context, *, deterministic: bool, count: bool, by_hand: bool) -> None:
    """The exact command line of the emulator; with --by-hand it can be pasted into a shell."""
    import shlex  # noqa: PLC0415

    from orchestrator.machine.platform import Capability  # noqa: PLC0415
    from orchestrator.testbed.testbed import UpOptions  # noqa: PLC0415

    project = context.project
    if Capability.RUN in project.platform.capabilities:
        testbed = context.testbed
        record = testbed.running()
        port = int(record["ssh_port"]) if record else project.ssh_port
        options = UpOptions(deterministic=deterministic, count=count)
        blueprint = testbed.blueprint(testbed.artifacts(), options, port)
    else:
        mode = UpOptions.count_mode if count else None
        blueprint = project.blueprint({}, ssh_port=project.ssh_port, deterministic=deterministic, count=mode)
    click.echo(shlex.join(project.platform.command_line(blueprint, by_hand=by_hand)))


COMMANDS = (build, lock, show)
