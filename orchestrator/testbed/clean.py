# SPDX-License-Identifier: Apache-2.0
"""Remove what a testbed leaves behind, in three depths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.build.cache import remove_tree
from orchestrator.build.graph import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.testbed.testbed import Testbed


def clean_testbed(testbed: Testbed, *, unused: bool, everything: bool) -> Iterator[str]:
    """Stop the machine and delete; yields one line about each thing removed."""
    if testbed.down():
        yield "stopped the machine"
    if testbed.state.exists():
        remove_tree(testbed.state)
        yield f"removed {testbed.state}"
    if everything:
        remove_tree(testbed.cache.root)
        yield f"removed {testbed.cache.root}"
    elif unused:
        yield from _remove_unused(testbed)


def _remove_unused(testbed: Testbed) -> Iterator[str]:
    """Artifacts that no node of this checkout with its present inputs refers to."""
    targets = [testbed.project.node(testbed.graph, name) for name in testbed.graph.declared]
    targets += testbed.project.machine_nodes(testbed.graph).values()  # the guests' kernel may have other ticks
    kept = {testbed.builder.keys.key(node) for node in in_order(targets)}
    for key in testbed.cache.all_keys():
        if key not in kept:
            testbed.cache.remove(key)
            yield f"removed artifact {key[:12]}"
    if testbed.cache.files.exists():
        remove_tree(testbed.cache.files)
        yield "removed files that came with jobs of other computers"
