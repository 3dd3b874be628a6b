# SPDX-License-Identifier: Apache-2.0
"""Attack `dma`: a device of the emulator writes into a realm's page. A limitation of the emulator, not of CCA."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchError
from orchestrator.machine.platform import Capability
from orchestrator.privacy import god_view
from orchestrator.privacy.attack import AttackMetric, LiveAttack, Need, Once, Outside, Role, Victim
from orchestrator.privacy.blocks import choose_blocks
from orchestrator.privacy.host import attacker
from orchestrator.privacy.memory_scan import STEP_LIMIT, scratch
from orchestrator.shell import ssh
from orchestrator.words import World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.privacy.rows import About
    from orchestrator.schema.samples import PrivacyRow
    from orchestrator.testbed.testbed import Testbed

DMA = "dma"
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
    return dma_rows(about, sum(done), [each == expected for each in after], seen == expected)


def dma_rows(about: About, done: int, overwritten: Sequence[bool], seen: bool) -> list[PrivacyRow]:
    """What a device wrote into the realm: `overwritten` a page each, by the emulator's view; `seen` by itself."""
    note = (
        "emulator: its devices (here fw_cfg) bypass the granule protection checks that a system with CCA applies to "
        "every requester"
    )
    shared: dict[str, Any] = {"attempted": len(overwritten), "note": note}
    return [
        about.row(DMA, "requests_done", value=done, **shared),
        about.row(DMA, "pages_overwritten", value=sum(overwritten), **shared),
        about.row(DMA, "realm_read_it", value=int(seen), **shared),
    ]


def _run(victim: Victim) -> list[PrivacyRow]:
    return run_dma(victim.testbed, victim.world, work=victim.work, about=victim.about, limit=victim.limit)


_PAGES = "pages of the realm"
RECORD = LiveAttack(
    name=DMA,
    summary="a device of the emulator writes into the realm: a limitation of the emulator",
    metrics=(
        AttackMetric(
            "requests_done", "count of the pages for which the device said that it wrote", _PAGES, role=Role.OUTSIDE
        ),
        AttackMetric(
            "pages_overwritten",
            "count of the pages that had the written bytes in the emulator's view",
            _PAGES,
            main=True,
            role=Role.OUTSIDE,
        ),
        AttackMetric("realm_read_it", "flag: the realm itself read the written bytes", _PAGES, role=Role.OUTSIDE),
    ),
    worlds=(World.REALM,),  # a normal VM has nothing that it would have to get around
    needs=(Need.MEMORY_VIEW, Need.DMA_DEVICE),
    outside=Outside(
        "Limitations of the emulator, outside the verdict on CCA",
        "Hardware does not have these: there, granule checks also apply to what devices access.",
    ),
    once=Once.MODEL,
    run=_run,
)
