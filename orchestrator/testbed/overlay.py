# SPDX-License-Identifier: Apache-2.0
"""The second, tiny initrd: what belongs to one testbed (keys, later driver and VMM) beside the shared base."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from orchestrator.build.run import run
from orchestrator.files import replace_file

_EPOCH = 1767225600  # 2026-01-01: equal content gives an equal archive


@dataclass(frozen=True)
class OverlayFile:
    """One file of the overlay: absolute path in the host, content and permissions."""

    path: str
    content: bytes
    mode: int = 0o644


def write_overlay(files: list[OverlayFile], target: Path) -> None:
    """Write `files` as an uncompressed newc archive, owned by root; equal input gives equal bytes."""
    with tempfile.TemporaryDirectory(prefix="orch-overlay-") as folder:
        root = Path(folder) / "root"
        for file in files:
            path = root / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(file.mode)
        names = sorted(path.relative_to(root) for path in root.rglob("*"))
        for name in [*reversed(names)]:
            if (root / name).is_dir():
                (root / name).chmod(0o755)
            os.utime(root / name, (_EPOCH, _EPOCH))
        archive = Path(folder) / "overlay.cpio"
        listing = "".join(f"{name}\n" for name in names)
        run(
            ["cpio", "-o", "-H", "newc", "-R", "0:0", "--reproducible", "--quiet", "-O", archive],
            cwd=root,
            stdin=listing,
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, archive.read_bytes(), mode=0o600)
