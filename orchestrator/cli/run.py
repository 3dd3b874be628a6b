# SPDX-License-Identifier: Apache-2.0
"""`orch run`: measure a workload in its worlds; `orch schema`: what a workload file can say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.context import Context, pass_context
from orchestrator.errors import UsageError, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.runs.folder import RunFolder
    from orchestrator.schema.cluster import ClusterConfig
    from orchestrator.testbed.project import Project


@click.command("run")
@click.argument("workload_file", metavar="WORKLOAD", required=False, type=click.Path(path_type=Path))
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="change a key: a.b=c, in YAML; repeatable")
@click.option("--resume", "resumed", metavar="RUN", help="go on with a run (folder, name, or 'latest')")
@click.option("--results", type=click.Path(path_type=Path), metavar="DIR", help="where runs are kept [results/]")
@click.option("--keep", is_flag=True, help="leave the last machine up with a guest: the realm, else the VM")
@click.option(
    "--workers", type=click.IntRange(1), default=1, metavar="N", help="boots at once, each a machine of its own [1]"
)
@click.option("--pin", is_flag=True, help="give each worker a core of its own")
@click.option("--scheduler", metavar="URL", help="boots on the Dask cluster whose scheduler is at tcp://HOST:PORT")
@click.option(
    "--cluster", "cluster_file", type=click.Path(path_type=Path), metavar="FILE", help="boots on that cluster"
)
@click.option(
    "--dry-run", is_flag=True, help="print the plan (of --resume: what is left) and what it takes; build nothing"
)
@pass_context
def run(
    context: Context,
    *,
    workload_file: Path | None,
    changes: tuple[str, ...],
    resumed: str | None,
    results: Path | None,
    keep: bool,
    workers: int,
    pin: bool,
    scheduler: str | None,
    cluster_file: Path | None,
    dry_run: bool,
) -> None:
    """Measure a workload's models in its worlds; leaves a folder with tables and a report in results/.

    Exit code 1 if a step failed: the others are done, and `--resume` repeats only that.
    """
    from orchestrator.experiment import conduct, outlook  # noqa: PLC0415
    from orchestrator.runs.folder import RunFolder  # noqa: PLC0415
    from orchestrator.runs.reading import find_run  # noqa: PLC0415

    _check_asked(workload_file, resumed)
    cluster = _cluster(scheduler, cluster_file, workers)
    _check(keep=keep, others=pin or workers > 1 or cluster is not None, changed=resumed is not None and bool(changes))
    options = conduct.RunOptions(keep=keep, resume=resumed is not None, workers=workers, pin=pin, cluster=cluster)
    folder, project = results or context.project.root / "results", context.project
    if resumed is not None:
        journal = RunFolder(find_run(resumed, folder, context.progress.notice))
        if dry_run:
            _print_what_is_left(journal, project, folder, workers, cluster)
            return
        failures = conduct.resume(project, journal, context.progress, options)
    else:
        assert workload_file is not None  # noqa: S101
        workload = conduct.open_workload(workload_file, changes, project)
        if dry_run:
            click.echo("\n".join(conduct.plan_lines(workload, workload_file, project, workers, cluster=cluster)))
            click.echo("\n".join(outlook.outlook_lines(workload, workload_file, project, folder, workers=workers)))
            return
        journal, failures = conduct.start(project, workload, workload_file, folder, context.progress, options)
    _finish(context, journal)
    if failures:
        raise WorkloadError(f"{failures} steps failed", hint=f"`orch run --resume {journal.run_id}` repeats them")


def _print_what_is_left(
    journal: RunFolder, project: Project, results: Path, workers: int, cluster: ClusterConfig | None
) -> None:
    """The steps that a run that was begun still has, and what they will take."""
    from orchestrator.experiment import conduct, outlook  # noqa: PLC0415

    click.echo("\n".join(conduct.left_lines(journal, project, workers, cluster)))
    saved, done = conduct.saved_workload(journal), journal.done()
    click.echo("\n".join(outlook.outlook_lines(*saved, project, results, workers=workers, done=done)))


def _check_asked(workload_file: Path | None, resumed: str | None) -> None:
    """Raises UsageError unless one run is asked for, a new one or one that was begun."""
    if (workload_file is None) == (resumed is None):
        raise UsageError("give either a workload file or --resume RUN", hint="`orch run workloads/quickstart.yaml`")


def _check(*, keep: bool, others: bool, changed: bool) -> None:
    """Raises UsageError for options that do not go together: `others` than the testbed's own machine do the boots."""
    if changed:
        raise UsageError("--set cannot change a run that was begun", hint="start a new one")
    if keep and others:
        raise UsageError("--keep leaves the testbed's own machine up, and workers have others", hint="leave out one")


def _cluster(scheduler: str | None, file: Path | None, workers: int) -> ClusterConfig | None:
    """What --scheduler or --cluster says; raises UsageError."""
    if scheduler is None and file is None:
        return None
    if workers > 1 or (scheduler is not None and file is not None):
        raise UsageError("of --workers, --scheduler and --cluster one says who does the boots", hint="leave out others")
    from orchestrator.experiment.cluster.connect import at_address, need_dask  # noqa: PLC0415
    from orchestrator.schema.cluster import ClusterConfig  # noqa: PLC0415
    from orchestrator.schema.yamlfile import load  # noqa: PLC0415

    found = at_address(scheduler) if scheduler is not None else load(Path(str(file)), ClusterConfig)
    need_dask()
    return found


def _finish(context: Context, journal: RunFolder) -> None:
    """Tables and report of a run that is over."""
    from orchestrator.report.finish import finish  # noqa: PLC0415

    with context.progress.stage("tables and report", estimate=3):
        written = finish(journal)
    for line in (*written.findings, *written.alarms):
        click.echo(line)
    click.echo(f"{journal.folder}/report.html")


@click.command("nightly")
@click.argument("workload_file", metavar="WORKLOAD", type=click.Path(path_type=Path))
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="as for `orch run`")
@click.option("--results", type=click.Path(path_type=Path), metavar="DIR", help="where runs are kept [results/]")
@pass_context
def nightly(context: Context, *, workload_file: Path, changes: tuple[str, ...], results: Path | None) -> None:
    """Run a workload, compare it with the night before, and append its cells to history.csv.

    Exit code 1 if a step failed, if something is slower than in the newest whole run of the same name before, if an
    inference of that is not there any more, or if no cell could be compared with it.
    """
    from orchestrator.analysis.history import HISTORY, append_history  # noqa: PLC0415
    from orchestrator.experiment import conduct  # noqa: PLC0415
    from orchestrator.report.junit import publish  # noqa: PLC0415

    folder = results or context.project.root / "results"
    workload = conduct.open_workload(workload_file, changes, context.project)
    before = _last_whole_run(folder, workload.name, context.progress.notice)
    publish(folder, None)  # if this night gives none, those of the last are not taken for its own
    journal, failures = conduct.start(
        context.project, workload, workload_file, folder, context.progress, conduct.RunOptions()
    )
    _finish(context, journal)
    problems = [f"{failures} steps failed"] if failures else []
    if before is not None:
        problems += _compare(before, journal.folder)
    publish(folder, journal.folder)
    # Behind the comparison, which a history that cannot be continued must not cost.
    history = append_history(folder / HISTORY.name, journal.folder)
    click.echo(f"{folder / HISTORY.name}: {history.added} lines more")
    if history.notice is not None:
        click.echo(f"{folder / HISTORY.name}: {history.notice}")
    if problems:
        raise WorkloadError("; ".join(problems))


def _last_whole_run(results: Path, name: str, notice: Callable[[str], None]) -> Path | None:
    """The newest run of that name in which all went well; one that cannot be read is passed over with a notice."""
    from orchestrator.runs.reading import load_run  # noqa: PLC0415
    from orchestrator.runs.run_file import read_run_file  # noqa: PLC0415

    whole = []
    for path in results.glob(f"{name}-*/run.yaml"):
        try:
            info = read_run_file(path.parent)
        except UsageError as error:
            notice(f"passed over: {error.message}")
            continue
        if info.name == name and info.status == "ok":
            whole.append((info.started_utc or "", path.parent))
    for _, folder in sorted(whole, reverse=True):
        try:
            load_run(folder)
        except UsageError as error:
            notice(f"passed over: {error.message}")
        else:
            return folder
    return None


def _compare(before: Path, now: Path) -> list[str]:
    """Print and write what changed; returns what of it makes the night a failure."""
    from orchestrator.analysis.compare import compare  # noqa: PLC0415
    from orchestrator.report.compare_page import lines, tally  # noqa: PLC0415
    from orchestrator.report.tables import write_comparison  # noqa: PLC0415
    from orchestrator.runs.reading import load_run  # noqa: PLC0415

    one, other = load_run(before), load_run(now)
    comparison = compare(one, other, other.info.margin)
    for line in (*lines(comparison), f"against {before.name}: {tally(comparison)}"):
        click.echo(line)
    write_comparison(now, one, other, comparison, other.info.margin)
    if not comparison.rows:
        return [f"no cell is the same as in {before.name}"]
    problems = [f"slower than {before.name}"] if comparison.slower else []
    return problems + ([f"no inference any more: {', '.join(comparison.lost)}"] if comparison.lost else [])


@click.command("schema")
def schema() -> None:
    """Print the JSON Schema of workload files."""
    from orchestrator.schema.workload import Workload  # noqa: PLC0415

    click.echo(json.dumps(Workload.model_json_schema(), indent=1))


COMMANDS = (run, nightly, schema)
