# SPDX-License-Identifier: Apache-2.0
"""What the worlds released: equal to each other, bit for bit, in a boot and between boots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.errors import WorkloadError
from orchestrator.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.runs.folder import RunFolder
    from orchestrator.runs.shard import Shard

OUTPUTS = "outputs"
_DIFFERS = "the output is not, bit for bit, that of the other worlds"


def check_equal(outputs: Sequence[Mapping[str, Any]], reference: Path) -> None:
    """Raises WorkloadError unless the outputs are, bit for bit, those that another world left in `reference`.

    The first to come writes the file.
    """
    found = [json.dumps(each, sort_keys=True) for each in outputs]
    if not reference.exists():
        reference.parent.mkdir(exist_ok=True)
        replace_file(reference, "\n".join(found) + "\n")  # half of it would fail all that are compared with it later
        return
    known = reference.read_text(encoding="utf-8").splitlines()
    for k, (one, other) in enumerate(zip(found, known, strict=False)):
        if one != other:
            raise WorkloadError(f"iteration {k}: {_DIFFERS}")
    if len(found) != len(known):
        raise WorkloadError(f"{len(found)} outputs where another world gave {len(known)}")


def compare_boots(run: RunFolder) -> list[str]:
    """Retract the steps of boots whose outputs are not those of the first boot that has them; returns their keys."""
    first: dict[str, tuple[Shard, bytes]] = {}
    retracted = []
    for shard in run.shards():
        for path in sorted((shard.folder / OUTPUTS).glob("*.jsonl")):
            content = path.read_bytes()
            reference, known = first.setdefault(path.stem, (shard, content))
            if content == known:
                continue
            for key in sorted(shard.done()):
                if key.startswith(f"{path.stem}/"):
                    shard.retract(key, f"{_DIFFERS.replace('worlds', 'boots')} ({reference.name})")
                    retracted.append(key)
            path.unlink()  # a repetition is compared anew
    return retracted
