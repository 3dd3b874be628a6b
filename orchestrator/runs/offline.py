# SPDX-License-Identifier: Apache-2.0
"""Rows that were computed from a finished run, in a shard of their own."""

from __future__ import annotations

OFFLINE = "offline"
