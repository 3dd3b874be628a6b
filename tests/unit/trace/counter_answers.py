# SPDX-License-Identifier: Apache-2.0
"""What the counter plugin answers."""

from __future__ import annotations

from typing import Any

from orchestrator.trace.tally import LEVELS, SECURITY_STATES

INFO: dict[str, Any] = {
    "version": "1.1",
    "mode": "fast",
    "arch": "aarch64",
    "smp": 1,
    "marker": {"abi": 1, "opcode": 0xD280001F, "mask": 0xFFE0001F},
    "qemu_api": {"built": 4, "min": 2, "current": 4},
    "worlds": ["non_secure", "realm", "root", "secure"],
    "levels": ["el0", "el1", "el2", "el3", "host_el0"],
}


def zeros(columns: int) -> list[list[int]]:
    return [[0] * columns for _ in SECURITY_STATES]


def counters_reply(**changes: Any) -> dict[str, Any]:
    reply: dict[str, Any] = {
        "counts": [zeros(len(LEVELS))],
        "moves": [zeros(len(SECURITY_STATES))],
        "exits": [[3, 9, 0, 0]],
        "stale": [0],
        "markers": 0,
        "dropped": 0,
    }
    reply["counts"][0][1][1] = 42
    return reply | changes


def marker_reply(seq: int) -> dict[str, Any]:
    place = {"vcpu": 0, "world": "realm", "level": "el1"}
    values = {
        "counts": [zeros(len(LEVELS))],
        "moves": [zeros(len(SECURITY_STATES))],
        "exits": [[0] * len(SECURITY_STATES)],
    }
    return {"seq": seq, "event": 7, "id": seq // 2, "end": bool(seq % 2)} | place | values
