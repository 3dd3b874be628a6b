# SPDX-License-Identifier: Apache-2.0
"""`orch report`, `orch compare`: what follows from runs that are over."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.context import Context, pass_context

_RESULTS = "results"


def _results(context: Context, chosen: Path | None) -> Path:
    """The folder of all runs: as chosen, or the checkout's own."""
    return chosen or context.project.root / _RESULTS


_results_option = click.option(
    "--results", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="folder of all runs [results/]"
)


@click.command("report")
@click.argument("run", default="latest")
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.svg",
    help="also draw what the host gets beside what an inference costs",
)
@_results_option
@pass_context
def report(context: Context, *, run: str, figure: Path | None, results: Path | None) -> None:
    """Make summary.csv, the Parquet files, junit.xml and report.html of RUN again from its samples.

    RUN is a folder, the beginning of a run's name, or `latest`.
    """
    from orchestrator.report.tables import write_tables  # noqa: PLC0415
    from orchestrator.runs.reading import find_run  # noqa: PLC0415 - pandas takes a second

    written = write_tables(find_run(run, _results(context, results), context.progress.notice), figure)
    for line in written.findings:
        click.echo(line)
    for line in written.alarms:
        click.echo(line, err=True)
    click.echo(str(written.files[-1]))
    if figure is not None:
        click.echo(str(figure))


@click.command("compare")
@click.argument("a")
@click.argument("b", default="latest")
@click.option(
    "--margin", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="X", help="as in 0.02 [that of B]"
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="write compare.csv, compare.html and junit-compare.xml",
)
@_results_option
@click.pass_context
def compare(
    click_context: click.Context, *, a: str, b: str, margin: float | None, output: Path | None, results: Path | None
) -> None:
    """Compare the instructions of runs A and B cell by cell.

    Exit codes: 0 nothing is slower in B beyond the margin, 1 something is or an inference is missing, 2 the runs have
    no cell in common.
    """
    from orchestrator.analysis.compare import compare as compare_runs  # noqa: PLC0415
    from orchestrator.report.compare_page import lines, tally  # noqa: PLC0415
    from orchestrator.report.tables import write_comparison  # noqa: PLC0415
    from orchestrator.runs.reading import find_run, load_run  # noqa: PLC0415

    context = click_context.ensure_object(Context)
    runs = [load_run(find_run(name, _results(context, results), context.progress.notice)) for name in (a, b)]
    chosen = runs[1].info.margin if margin is None else margin
    comparison = compare_runs(runs[0], runs[1], chosen)
    for line in lines(comparison):
        click.echo(line)
    click.echo(f"{tally(comparison)} (margin {100 * chosen:g} %)")
    if output is not None:
        click.echo(str(write_comparison(output, runs[0], runs[1], comparison, chosen)))
    click_context.exit(comparison.exit_code)


COMMANDS = (report, compare)
