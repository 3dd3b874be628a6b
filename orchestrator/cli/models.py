# SPDX-License-Identifier: Apache-2.0
"""`orch models list|show|inspect|verify`: the model zoo, and files of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.context import Context, pass_context
from orchestrator.errors import OrchError, UsageError

if TYPE_CHECKING:
    from orchestrator.models.evaluation import Evaluation
    from orchestrator.models.zoo import Model, Zoo
    from orchestrator.schema.zoo import Accuracy, ModelYaml

_FEW = 100  # of so few images a share would look like more than it is


@click.group("models")
def models() -> None:
    """Models that come with orch: what they are, and whether they are what they are said to be."""


@models.command("list")
@pass_context
def list_models(context: Context) -> None:
    """One line a model: sizes in MB and accuracy are given for each quantization."""
    zoo = _zoo(context)
    head = ("NAME", "WEIGHTS", "QUANTIZATION", "MB", "ACCURACY", "INPUT", "M MACS")
    rows = [head, *(_row(spec) for spec in zoo.models.values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _row(spec: ModelYaml) -> tuple[str, ...]:
    return (
        spec.name,
        "trained" if spec.trained else "random",
        " / ".join(spec.files),
        " / ".join(f"{file.bytes / 1e6:.3g}" for file in spec.files.values()),
        " / ".join(_share(file.accuracy) for file in spec.files.values()) if spec.trained else "-",
        " x ".join(map(str, spec.input.shape)),
        f"{spec.macs / 1e6:.4g}",
    )


def _share(accuracy: Accuracy | None, *, long: bool = False) -> str:
    if accuracy is None:
        return "-"
    if accuracy.images < _FEW:
        return f"{round(accuracy.top1 * accuracy.images)} of {accuracy.images}"
    return f"{accuracy.top1:.2%} of {accuracy.images:,}" if long else f"{accuracy.top1:.2%}"


@models.command("show")
@click.argument("name")
@pass_context
def show_model(context: Context, name: str) -> None:
    """All that is known of the model NAME."""
    zoo = _zoo(context)
    spec = zoo.describe(name)
    preparation = spec.input.preparation
    weights = "trained" if spec.trained else "random: for timing only, its answers mean nothing"
    dataset = f"{spec.dataset}: {zoo.datasets[spec.dataset].summary}" if spec.dataset else "none, it is given noise"
    facts = {
        "summary": spec.summary,
        "weights": weights,
        "licence": spec.licence,
        "source": spec.source,
        "recipe": f"workloads/models/{spec.recipe}, node {spec.node}",
        "size": f"{spec.parameters:,} parameters, {spec.macs / 1e6:,.4g} M multiplications an inference",
        "input": f"{' x '.join(map(str, spec.input.shape))}, (pixel - {preparation.mean:g}) / {preparation.std:g}",
        "classes": f"{spec.classes.count}: {_names(spec)}",
        "data set": dataset,
    }
    click.echo(spec.name)
    for key, text in facts.items():
        click.echo(f"  {key:9} {text}")
    for quantization, file in spec.files.items():
        accuracy = f", right: {_share(file.accuracy, long=True)}" if file.accuracy else ""
        click.echo(f"  {quantization:9} {file.file}, {file.bytes:,} bytes{accuracy}")
        click.echo(f"  {'':9} sha256 {file.sha256}")


def _names(spec: ModelYaml) -> str:
    names = spec.classes.names
    if not names:
        return "without names"
    listed = ", ".join(f"{index} {name}" for index, name in sorted(names.items()))
    return listed if len(names) == spec.classes.count else f"{listed}; the others without names"


@models.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--signature", help="which of the model's signatures; serving_default, or the first")
@pass_context
def inspect_model(context: Context, file: Path, signature: str | None) -> None:
    """What the .tflite FILE takes and gives, what executes it, what memory it needs, and a workload that runs it.

    Exit code 2 with one line if the guests' runtime cannot run it.
    """
    from orchestrator.experiment.prepare import guest_base  # noqa: PLC0415 - loads numpy
    from orchestrator.models.inspection import Inspection  # noqa: PLC0415
    from orchestrator.models.oracle import Oracle  # noqa: PLC0415

    oracle = Oracle.built(context.testbed.builder)
    runtime = oracle.runtime
    runtime.check(file)
    anatomy = runtime.anatomy(file)
    if anatomy is None:
        raise UsageError(f"{file}: runtime {runtime.name} cannot look into its models")
    for line in Inspection(file, anatomy, oracle.describe(file, signature), guest_base(runtime)).lines():
        click.echo(line)


@models.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@pass_context
def verify_models(context: Context, names: tuple[str, ...]) -> None:
    """Compare the files of models (all by default) with what is stated, with all test images; builds what is missing.

    Exit code 1 if one is not what it is said to be.
    """
    from orchestrator.models import evaluation  # noqa: PLC0415 - loads numpy
    from orchestrator.models.oracle import Oracle  # noqa: PLC0415

    zoo, builder = _zoo(context), context.testbed.builder
    specs = [zoo.describe(name) for name in names] if names else list(zoo.models.values())
    wanted = [zoo.get(spec.name, quantization) for spec in specs for quantization in spec.files]
    built = zoo.build(wanted, builder)
    data = zoo.data([model.dataset for model in built if model.dataset], builder)
    oracle = Oracle.built(builder)
    failed = 0
    for model in built:
        folder = data[model.dataset.name] if model.dataset else None
        verdict = evaluation.verify(model, zoo.models[model.name], oracle, folder)
        failed += bool(verdict.problems)
        click.echo(_told(model, verdict))
    if failed:
        raise OrchError(f"{failed} of {len(built)} files are not what their model.yaml states")


def _told(model: Model, verdict: Evaluation) -> str:
    found = f"{verdict.right} of {verdict.images} right" if verdict.images else "random weights"
    same = "the stated bytes" if verdict.same_bytes else "other bytes than stated"
    state = "; ".join(verdict.problems) or "ok"
    return f"{model.name} {model.quantization}: {state}: {found}, {same}"


def _zoo(context: Context) -> Zoo:
    from orchestrator.models.zoo import Zoo  # noqa: PLC0415

    return Zoo.load(context.project.root)


COMMANDS = (models,)
