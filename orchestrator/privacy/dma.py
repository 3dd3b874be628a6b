# SPDX-License-Identifier: Apache-2.0
"""Attack `dma`: a device of the emulator writes into a realm's page. A limitation of the emulator, not of CCA."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from orchestrator.errors import OrchError
from orchestrator.machine.platform import Capability
from orchestrator.privacy import god_view, rows
from orchestrator.privacy.blocks import choose_blocks
from orchestrator.privacy.host import attacker
from orchestrator.privacy.memory_scan import STEP_LIMIT, scratch
from orchestrator.shell import ssh

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.privacy.rows import About
    from orchestrator.schema.samples import PrivacyRow
    from orchestrator.testbed.testbed import Testbed

_PAGE = 4096
_WRITTEN = b"QEMU"  # what the device has to give: its own signature
_VICTIM = "/tmp/dma-victim"  # noqa: S108 - in the realm


def run_dma(testbed: Testbed, world: str, *, work: Path, about: About, limit: float = STEP_LIMIT) -> list[PrivacyRow]:
    """Have fw_cfg overwrite a page of the realm `world`, which gets a file of one page for it that nobody needs.

    The emulator's own view finds the page and shows what became of it; the realm then reads its file.
    """
    testbed.need(Capability.DMA)
    page = secrets.token_bytes(_PAGE)
    with scratch(work) as folder, attacker(testbed, limit) as host, testbed.world(world).link() as realm:
        victim = folder / "victim"
        victim.write_bytes(page)
        ssh.put(realm, victim, _VICTIM)
        needles = folder / "needles"
        needles.write_bytes(choose_blocks(page, 0).needles)
        places = god_view.search(testbed, needles, folder, host.delegated(world)).whole
        if not places:
            raise OrchError(f"dma: the page of {_VICTIM} was not found in a delegated page of the {world}")
        done = [host.dma(place) for place in places]
        after = [testbed.instance.read_memory(place, _PAGE) for place in places]
        ssh.get(realm, _VICTIM, folder / "seen")
        seen = (folder / "seen").read_bytes()
        ssh.capture(realm, f"rm {_VICTIM}")
    expected = _WRITTEN + page[len(_WRITTEN) :]
    return rows.dma_rows(about, sum(done), [each == expected for each in after], seen == expected)
