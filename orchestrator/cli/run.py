# SPDX-License-Identifier: Apache-2.0
"""`orch run`: measure a workload in its worlds; `orch schema`: what a workload file can say."""

from __future__ import annotations

import json
from pathlib import Path

import click

from orchestrator.cli.context import Context, pass_context
from orchestrator.errors import UsageError, WorkloadError


@click.command("run")
@click.argument("workload_file", metavar="WORKLOAD", required=False, type=click.Path(path_type=Path))
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="change a key: a.b=c, in YAML; repeatable")
@click.option("--resume", "resumed", metavar="RUN", help="go on with a run (folder, name, or 'latest')")
@click.option("--results", type=click.Path(path_type=Path), metavar="DIR", help="where runs are kept [results/]")
@click.option("--keep", is_flag=True, help="leave the last machine up with a guest: the realm, else the VM")
@click.option("--dry-run", is_flag=True, help="print the plan, build and boot nothing")
@pass_context
def run(
    context: Context,
    *,
    workload_file: Path | None,
    changes: tuple[str, ...],
    resumed: str | None,
    results: Path | None,
    keep: bool,
    dry_run: bool,
) -> None:
    """Measure a workload's models in its worlds; leaves a folder with tables and a report in results/.

    Exit code 1 if a step failed: the others are done, and `--resume` repeats only that.
    """
    from orchestrator.analysis.run_folder import find_run  # noqa: PLC0415 - `orch --help` should not load pandas
    from orchestrator.experiment import conduct  # noqa: PLC0415
    from orchestrator.experiment.journal import Journal  # noqa: PLC0415

    if (workload_file is None) == (resumed is None):
        raise UsageError("give either a workload file or --resume RUN", hint="`orch run workloads/quickstart.yaml`")
    folder = results or context.project.root / "results"
    if resumed is not None:
        if changes:
            raise UsageError("--set cannot change a run that was begun", hint="start a new one")
        journal = Journal(find_run(resumed, folder))
        failures = conduct.resume(context.project, journal, context.progress, keep=keep)
    else:
        assert workload_file is not None  # noqa: S101
        workload = conduct.open_workload(workload_file, changes)
        if dry_run:
            click.echo("\n".join(conduct.plan_lines(workload, workload_file)))
            return
        journal, failures = conduct.start(context.project, workload, workload_file, folder, context.progress, keep=keep)
    _finish(context, journal.folder)
    if failures:
        raise WorkloadError(f"{failures} steps failed", hint=f"`orch run --resume {journal.run_id}` repeats them")


def _finish(context: Context, folder: Path) -> None:
    from orchestrator.analysis.tables import write_tables  # noqa: PLC0415

    with context.progress.stage("tables and report", estimate=3):
        written = write_tables(folder)
    for line in (*written.findings, *written.alarms):
        click.echo(line)
    click.echo(f"{folder}/report.html")


@click.command("nightly")
@click.argument("workload_file", metavar="WORKLOAD", type=click.Path(path_type=Path))
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="as for `orch run`")
@click.option("--results", type=click.Path(path_type=Path), metavar="DIR", help="where runs are kept [results/]")
@pass_context
def nightly(context: Context, *, workload_file: Path, changes: tuple[str, ...], results: Path | None) -> None:
    """Run a workload, compare it with the night before, and append its cells to history.csv.

    Exit code 1 if a step failed, or if something is slower than in the newest whole run of the same name before.
    """
    from orchestrator.analysis.history import HISTORY, append_history  # noqa: PLC0415
    from orchestrator.experiment import conduct  # noqa: PLC0415

    folder = results or context.project.root / "results"
    workload = conduct.open_workload(workload_file, changes)
    before = _last_whole_run(folder, workload.name)
    journal, failures = conduct.start(context.project, workload, workload_file, folder, context.progress, keep=False)
    _finish(context, journal.folder)
    added = append_history(folder / HISTORY.name, journal.folder)
    click.echo(f"{folder / HISTORY.name}: {added} lines more")
    slower = before is not None and _is_slower(before, journal.folder)
    if failures or slower:
        raise WorkloadError(f"{failures} steps failed" if failures else f"slower than {before}")


def _last_whole_run(results: Path, name: str) -> Path | None:
    from orchestrator.analysis.run_folder import load_run  # noqa: PLC0415

    runs = [load_run(path.parent) for path in results.glob(f"{name}-*/run.yaml")]
    whole = [run for run in runs if run.info.name == name and run.info.status == "ok"]
    return max(whole, key=lambda run: run.info.started_utc or "").folder if whole else None


def _is_slower(before: Path, now: Path) -> bool:
    from orchestrator.analysis.compare import COMPARE, compare  # noqa: PLC0415
    from orchestrator.analysis.compare_page import lines, page, tally  # noqa: PLC0415
    from orchestrator.analysis.run_folder import load_run  # noqa: PLC0415
    from orchestrator.report.html import render  # noqa: PLC0415

    one, other = load_run(before), load_run(now)
    comparison = compare(one, other, other.info.margin)
    for line in (*lines(comparison), f"against {before.name}: {tally(comparison)}"):
        click.echo(line)
    COMPARE.write(now / COMPARE.name, comparison.rows)
    (now / "compare.html").write_text(render(page(one, other, comparison, other.info.margin)), encoding="utf-8")
    return comparison.exit_code == 1


@click.command("schema")
def schema() -> None:
    """Print the JSON Schema of workload files."""
    from orchestrator.schema.workload import Workload  # noqa: PLC0415

    click.echo(json.dumps(Workload.model_json_schema(), indent=1))


COMMANDS = (run, nightly, schema)
