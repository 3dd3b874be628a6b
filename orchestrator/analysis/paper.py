# SPDX-License-Identifier: Apache-2.0
"""Published figures that ours are shown beside: arXiv 2504.08508v1, tables 2, 3 and 6."""

from __future__ import annotations

import re
from dataclasses import dataclass

SOURCE = "arXiv 2504.08508v1, tables 2 and 3 (Arm FVP, TF-RMM 0.5.0; host 1000 Hz, guest 100 Hz)"
OVERHEAD = (17.0, 23.0)  # percent, of the total over its eight models; inference alone has the same range
TERMINATION = (5000, 5400)  # additional instructions for each 4 KiB page, from table 6
REGIME = {"icount_shift": 3, "host_hz": 1000, "guest_hz": 100}


@dataclass(frozen=True)
class Published:
    """One model's inference: millions of instructions in realm and normal VM."""

    model: str
    pattern: str
    realm: float
    vm: float

    @property
    def overhead(self) -> float:
        """Percent."""
        return 100 * (self.realm / self.vm - 1)


PUBLISHED = (
    Published("AlexNet", r"^alexnet", 98.0, 82.0),
    Published("MobileNet v1 1.0 224", r"^mobilenet.*v1.*224", 335.4, 278.9),
    Published("ResNet18", r"^resnet.?18", 418.2, 344.0),
)


def published(model: str) -> Published | None:
    """The paper's figures for a model of ours, by its name."""
    return next((row for row in PUBLISHED if re.search(row.pattern, model.lower())), None)


def is_regime(icount_shift: int | None, host_hz: int, guest_hz: int) -> bool:
    """Are these the ticks under which ours is compared with the paper's."""
    return {"icount_shift": icount_shift, "host_hz": host_hz, "guest_hz": guest_hz} == REGIME
