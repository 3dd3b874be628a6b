# SPDX-License-Identifier: Apache-2.0
"""`orch testbed`, `demo`, `doctor`, `clean`."""

from __future__ import annotations

import click

from orchestrator.cli.build import print_plan
from orchestrator.cli.context import Context, pass_context
from orchestrator.errors import EnvError

RUN_NODES = ("runner", "runner:arch=amd64", "oracle", "attack", "data-fashion-mnist")
"""What workloads/quickstart.yaml needs."""


@click.command("testbed")
@click.option("--frozen", is_flag=True, help="refuse to replace a pinned package that the mirror has dropped")
@click.option("--dry-run", is_flag=True, help="print the plan only")
@pass_context
def testbed(context: Context, *, frozen: bool, dry_run: bool) -> None:
    """Build everything, boot the machine once, check it, shut it down (`make testbed`)."""
    from orchestrator.testbed.check import check_machine  # noqa: PLC0415

    context.frozen = frozen
    bed = context.testbed
    guests = bed.guests.nodes(bed.guests.possible())
    runs = [bed.graph.node(request) for request in RUN_NODES]
    nodes = list(dict.fromkeys([*context.project.machine_nodes(bed.graph).values(), *guests, *runs]))
    print_plan(context, bed.builder.plan(nodes))
    if dry_run:
        return
    for line in check_machine(bed, runs):
        click.echo(line)
    click.echo("the testbed is ready: `orch up`, `orch ssh host`, `orch down`")


@click.command("demo")
@pass_context
def demo(context: Context) -> None:
    """Boot the machine, log in and show what is there: worlds, kernel, instruction counts."""
    from orchestrator.testbed.check import demonstrate  # noqa: PLC0415

    for line in demonstrate(context.testbed):
        click.echo(line)


@click.command("doctor")
@pass_context
def doctor(context: Context) -> None:
    """Check tools, space, memory, mirror and ports; exit code 6 if something has to be done."""
    from orchestrator.testbed.doctor import examine  # noqa: PLC0415

    findings = examine(context.testbed)
    for finding in findings:
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'} {finding.name:16} {finding.found}")
        if not finding.ok and finding.hint:
            click.echo(f"     {'':16} -> {finding.hint}")
    bad = [finding.name for finding in findings if not finding.ok]
    if bad:
        raise EnvError(f"{len(bad)} of {len(findings)} checks failed: {', '.join(bad)}")


@click.command("clean")
@click.option("--cache", "cache", is_flag=True, help="also remove artifacts that this checkout does not use")
@click.option("--all", "everything", is_flag=True, help="also remove the whole cache, of all checkouts")
@pass_context
def clean(context: Context, *, cache: bool, everything: bool) -> None:
    """Stop the machine and remove its state folder (keys, logs, snapshots); the cache stays unless asked."""
    from orchestrator.testbed.clean import clean_testbed  # noqa: PLC0415

    for line in clean_testbed(context.testbed, unused=cache, everything=everything):
        click.echo(line)


COMMANDS = (testbed, demo, doctor, clean)
