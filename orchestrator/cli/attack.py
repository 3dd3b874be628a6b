# SPDX-License-Identifier: Apache-2.0
"""`orch attack`: what of a run can be attacked when it is over."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.context import Context, pass_context


@click.command("attack")
@click.argument("run")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--results", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="folder of all runs [results/]"
)
@pass_context
def attack(context: Context, *, run: str, names: tuple[str, ...], results: Path | None) -> None:
    """Do the attacks NAME on the finished RUN, or all that it has what they need for; nothing is booted.

    RUN is a folder, the beginning of a run's name, or `latest`. Rows go to its privacy.csv, in place of those of the
    same attacks; tables and report are made again.
    """
    from orchestrator.privacy.attack import metric_of  # noqa: PLC0415
    from orchestrator.privacy.offline import attack_run  # noqa: PLC0415
    from orchestrator.report.tables import write_tables  # noqa: PLC0415
    from orchestrator.runs.reading import find_run  # noqa: PLC0415 - pandas takes a second

    folder = find_run(run, results or context.project.root / "results", context.progress.notice)
    rows, left_out = attack_run(folder, names)
    for line in left_out:
        context.progress.notice(line)
    for row in rows:
        metric = metric_of(row.attack, row.metric)
        if metric is not None and metric.main:
            value = "" if row.value is None else f" {row.value:.4g}"
            word = row.verdict or row.status
            note = f": {row.note}" if row.note else ""
            click.echo(f"{row.attack}: {row.cell_id} in {row.world.label}: {row.metric}{value}, {word}{note}")
    written = write_tables(folder)
    for line in written.alarms:
        click.echo(line, err=True)
    click.echo(str(written.files[-1]))


COMMANDS = (attack,)
