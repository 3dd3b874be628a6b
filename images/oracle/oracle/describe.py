# SPDX-License-Identifier: Apache-2.0
"""What a model is: tensors, operators, which of them the delegate takes, how much memory an inference needs."""

from __future__ import annotations

import json
import os
import resource
from collections import Counter
from typing import Any

from oracle.opened import ModelError, Opened

DELEGATE = "DELEGATE"


def describe(path: str, signature: str | None) -> dict[str, Any]:
    """JSON-able; raises ModelError if the release cannot use the model, also without its delegate."""
    without = None
    try:
        opened = Opened.load(path, "xnnpack", signature)
    except ModelError as error:
        opened = Opened.load(path, "builtin", signature)
        without = str(error)
    opened.check()
    graphs = opened.interpreter.num_subgraphs()
    # The library tells operators of the primary subgraph only.
    operators = opened.interpreter._get_ops_details() if opened.subgraph == 0 else []
    taken = _taken(operators)
    counts = Counter((each["op_name"], each["index"] in taken) for each in operators if each["op_name"] != DELEGATE)
    return {
        "signature": opened.signature,
        "signatures": opened.signatures,
        "inputs": [port.described() for port in opened.inputs],
        "outputs": [port.described() for port in opened.outputs],
        "xnnpack": True if taken else False if graphs == 1 or without else None,
        "without": without,
        "operators": [
            {"name": name, "count": count, "xnnpack": inside} for (name, inside), count in sorted(counts.items())
        ],
        "memory_kib": _memory(path, "xnnpack" if without is None else "builtin", signature),
    }


def _taken(operators: list[dict[str, Any]]) -> set[int]:
    """Indices of the operators behind each delegate's node: from its outputs back to its inputs."""
    made_by = {int(out): each for each in operators if each["op_name"] != DELEGATE for out in each["outputs"]}
    taken: set[int] = set()
    for delegate in (each for each in operators if each["op_name"] == DELEGATE):
        known = {int(each) for each in delegate["inputs"]}
        left = [int(each) for each in delegate["outputs"]]
        while left:
            tensor = left.pop()
            maker = made_by.get(tensor)
            if tensor in known or maker is None:
                continue
            known.add(tensor)
            taken.add(maker["index"])
            left += [int(each) for each in maker["inputs"]]
    return taken


def _memory(path: str, kernel: str, signature: str | None) -> int | None:
    """KiB that opening the model and one inference on zeros took in a process of their own; None if that failed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = None
        try:
            opened = Opened.load(path, kernel, signature)
            opened.invoke(memoryview(bytes(sum(port.bytes for port in opened.inputs))))
            found = max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        except ModelError:
            pass
        os.write(write, json.dumps(found).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return json.loads(said) if said else None
