# SPDX-License-Identifier: Apache-2.0
"""What images/disk/make-disk.sh says of a disk that it has made: the root of its hash tree, and where that begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from orchestrator.errors import OrchError
from orchestrator.schema.yamlfile import Strict

if TYPE_CHECKING:
    from pathlib import Path

SECTOR_BYTES = 512


class DiskTree(Strict):
    """A disk's blocks of data, behind which the tree of their SHA-256 begins, without salt and superblock."""

    block_bytes: int = Field(ge=SECTOR_BYTES, multiple_of=SECTOR_BYTES, description="of a block, of data or of hashes")
    data_blocks: int = Field(ge=1)
    root_hash: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def sectors(self) -> int:
        """Of the data, 512 bytes each."""
        return self.data_blocks * self.block_bytes // SECTOR_BYTES


def tree_of(image: Path) -> DiskTree:
    """The tree of a disk, from the file beside it; raises OrchError if that is missing or no sense."""
    path = image.with_name(f"{image.name}.json")
    try:
        return DiskTree.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OrchError(f"{path}: {error.strerror}", hint="`orch build runner-disk`") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise OrchError(
            f"{path}: {place}: {first['msg']}", hint="`orch clean`, then `orch build runner-disk`"
        ) from None
