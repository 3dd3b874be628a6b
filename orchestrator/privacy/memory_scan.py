# SPDX-License-Identifier: Apache-2.0
"""Attack `memory-scan`: what root on the host gets of a model that is deployed in a world. See docs/privacy.md."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import OrchError
from orchestrator.privacy import god_view
from orchestrator.privacy import memory_rows as rows
from orchestrator.privacy.attack import Alarm, AttackMetric, LiveAttack, Need, Role, Victim
from orchestrator.privacy.blocks import choose_blocks
from orchestrator.privacy.host import Attacker, attacker, is_realm
from orchestrator.privacy.rows import About

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.privacy.answers import Scan, Touches
    from orchestrator.schema.samples import PrivacyRow
    from orchestrator.testbed.testbed import Testbed

STEP_LIMIT = 900.0  # s for one step of the attack in the host, on a computer with other work


def run_memory_scan(
    testbed: Testbed,
    world: str,
    model: Path,
    *,
    work: Path,
    seed: int,
    delegated_samples: int = 2000,
    about: About | None = None,
    accuracy: Callable[[Path], tuple[int, int]] | None = None,
    limit: float = STEP_LIMIT,
) -> list[PrivacyRow]:
    """Attack `model` (the deployed file) while `world` is up and has it; the rows of privacy.csv.

    `work` is a folder for scratch files. `about` says what rows tell of their cell; `accuracy` gives a rebuilt file's,
    as right answers and inputs. The model must not have been in the host or a normal VM of this boot before it is
    attacked in a realm: the search would find what is left of it there.
    """
    about = about or About(world, model.stem, "int8" if "int8" in model.stem else "float32")
    blocks = choose_blocks(model.read_bytes(), seed)
    with scratch(work) as folder, attacker(testbed, limit) as host:
        needles = folder / "needles"
        needles.write_bytes(blocks.needles)
        delegated = host.delegated(world)
        scan = host.scan(needles, host.vmm(world))
        found = _faults(about, scan)
        kinds = ("delegated", "other") if delegated else ("other",)
        found += [_touched(about, host.touch(kind, delegated_samples, seed)) for kind in kinds]
        god = god_view.search(testbed, needles, folder, host.delegated(world))
        found += rows.god_rows(about, blocks, god)
        # Last: what is rebuilt is in the host's own memory from then on.
        files = _carve(host, world, folder)
        same = next((file for file in files if is_rebuilt(file.read_bytes(), model.read_bytes())), None)
        reached = accuracy(same) if same is not None and accuracy is not None else None
        recovered = rows.recovery_rows(about, blocks, scan)
        recovered += rows.rebuilt_rows(about, len(files), same is not None, reached)
        return rows.judged(recovered, god.regions["god"].found / blocks.count) + found


def _faults(about: About, scan: Scan) -> list[PrivacyRow]:
    """Whether what faulted is what was delegated; in a realm there must be an answer."""
    if scan.faults is not None and scan.faults.stable:
        return [rows.fault_row(about, scan.faults)]
    if is_realm(about.world):
        raise OrchError("the search of memory compared no delegated page with what faulted")
    return []


def _touched(about: About, touches: Touches) -> PrivacyRow:
    """What random pages did; in a realm there must have been some."""
    if is_realm(about.world) and touches.attempted == 0:
        raise OrchError(f"no page was touched that counts: all of kind '{touches.kind}' changed sides meanwhile")
    return rows.touch_row(about, touches)


def _carve(host: Attacker, world: str, folder: Path) -> list[Path]:
    """Files put together from the guest's page cache, and the host's own."""
    files: list[Path] = []
    for number, pids in enumerate([[]] if world == "host" else [host.vmm(world), []]):
        part = folder / f"carved-{number}"
        part.mkdir()
        files += host.carve(pids, part)
    return files


def is_rebuilt(candidate: bytes, model: bytes) -> bool:
    """Whether a file put together from whole pages is the model: the same bytes, then zeros up to a page's end."""
    return candidate.startswith(model) and len(candidate) - len(model) < 4096 and not any(candidate[len(model) :])


@contextmanager
def scratch(work: Path) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="scan-", dir=work))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(victim: Victim) -> list[PrivacyRow]:
    return run_memory_scan(
        victim.testbed,
        victim.world,
        victim.model,
        work=victim.work,
        seed=victim.seed,
        about=victim.about,
        accuracy=victim.accuracy,
        limit=victim.limit,
    )


_BLOCKS, _PAGES = "blocks looked for", "pages touched"
_METRICS = (
    AttackMetric(
        "blocks_recovered",
        "fraction of the model's blocks that the host finds anywhere; `verdict` `nothing`, `partly` or `recovered` "
        "(99 %)",
        _BLOCKS,
        main=True,
        exposure=True,
        alarm=Alarm("the host can read {value:.2%} of the model", above=0),
    ),
    AttackMetric("blocks_in_ram", "the same in all normal memory", _BLOCKS),
    AttackMetric("blocks_in_vmm", "the same in the memory of the guest's VMM", _BLOCKS),
    AttackMetric("blocks_in_files", "the same in files and disks", _BLOCKS),
    AttackMetric(
        "delegated_faulted",
        "fraction of random delegated pages whose touch is a fault",
        _PAGES,
        alarm=Alarm("only {value:.2%} of the delegated pages that were tried fault", below=1),
    ),
    AttackMetric(
        "fault_set_difference",
        "count of pages that are delegated and could be read, or are not and faulted; `verdict` `equal` or `differs`",
        "pages whose side did not change",
        alarm=Alarm("in {value:,.0f} pages what faults is not what is delegated", above=0),
    ),
    AttackMetric(
        "model_rebuilt",
        "flag: a file put together from memory is the deployed model; `verdict` `rebuilt` or `not rebuilt`",
        "files put together",
        main=True,
        alarm=Alarm("the host has rebuilt the model", above=0),
    ),
    AttackMetric(
        "rebuilt_accuracy",
        "fraction of right answers of that file; only where it was rebuilt",
        "inputs with known labels",
    ),
    AttackMetric(
        "normal_faulted",
        "fraction of random pages that are not delegated whose touch is a fault",
        _PAGES,
        role=Role.CONTROL,
    ),
    AttackMetric(
        "god_view_recovered",
        "fraction of the blocks that the emulator's own view of all memory has",
        _BLOCKS,
        role=Role.CONTROL,
    ),
    AttackMetric("god_view_in_delegated", "the same in delegated pages", _BLOCKS, role=Role.CONTROL),
)
RECORD = LiveAttack(
    name=rows.SCAN,
    summary="root on the host searches all that it can read for the deployed model",
    metrics=_METRICS,
    needs=(Need.MEMORY_VIEW,),
    run=_run,
)
