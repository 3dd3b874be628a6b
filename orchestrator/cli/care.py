# SPDX-License-Identifier: Apache-2.0
"""`orch testbed`, `demo`, `doctor`, `clean`."""

from __future__ import annotations

import click

from orchestrator.cli.build import print_plan
from orchestrator.cli.context import Context, pass_context
from orchestrator.errors import EnvError

RUN_NODES = ("runner", "runner:arch=amd64", "oracle", "attack", "data-fashion-mnist")
"""What workloads/quickstart.yaml needs."""
