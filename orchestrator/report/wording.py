# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them: counts, percentages, intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.analysis.estimator import Interval
from orchestrator.report.model import Content, Word
from orchestrator.words import Verdict

MINUS = "\u2212"
DASH = "\u2013"
TIMES = "\u00d7"
NONE = "\u2013"
_TONES = {
    Verdict.SLOWER: "bad",
    Verdict.FASTER: "good",
    Verdict.IDENTICAL: "good",
    Verdict.INDISTINGUISHABLE: "good",
    Verdict.INCONCLUSIVE: "warn",
    Verdict.TOO_FEW_TICKS: "warn",
}


@dataclass(frozen=True)
class Range:
    """A value with the ends of its interval, which may be missing."""

    value: float
    low: float | None = None
    high: float | None = None


def number(value: float) -> str:
    """A number with as many digits as one reads: 3, 12.3, 4,820."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def signed(value: float) -> str:
    """A percentage with its sign; two decimals below 100."""
    digits = 2 if abs(value) < 100 else 0
    text = f"{abs(value):,.{digits}f}"
    zero = not float(text.replace(",", ""))
    return text if zero else ("+" if value > 0 else MINUS) + text


def verdict_word(verdict: Verdict | None) -> Word:
    """A verdict with its tone."""
    return Word(verdict, _TONES[verdict]) if verdict else Word(NONE, "muted")


def percent_over(ratio: Interval) -> Range | None:
    """A ratio as percent over 1; None if there is none."""
    if ratio.estimate is None:
        return None
    low, high = (None if end is None else 100 * (end - 1) for end in (ratio.low, ratio.high))
    return Range(100 * (ratio.estimate - 1), low, high)


def overhead(ratio: Interval) -> str:
    """A ratio as `+19.5 %`."""
    value = percent_over(ratio)
    return NONE if value is None else f"{signed(value.value)} %"


def ends(ratio: Interval) -> str:
    """A ratio's interval as `[+19.2, +19.9]`."""
    value = percent_over(ratio)
    if value is None or value.low is None or value.high is None:
        return NONE
    return f"[{signed(value.low)}, {signed(value.high)}]"


def millions(value: float | None) -> str:
    """Instructions in millions, four significant digits or so."""
    if value is None or math.isnan(value):
        return NONE
    size = abs(value) / 1e6
    digits = 0 if size >= 10_000 or not size else 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 1 else 4
    return f"{value / 1e6:,.{digits}f}"


def whole(value: float | None) -> str:
    """A count with separators."""
    return NONE if value is None or math.isnan(value) else f"{value:,.0f}".replace("-", MINUS)


def points(value: float) -> str:
    """Percentage points with two decimals, such that a column can be added up."""
    text = f"{abs(value):.2f}"
    return text if not float(text) else ("+" if value > 0 else MINUS) + text


def seconds(value: float | None) -> str:
    """Seconds with one decimal."""
    return NONE if value is None else f"{value:,.1f} s"


def ditto(rows: Iterable[tuple[Content, ...]], columns: int = 1) -> tuple[tuple[Content, ...], ...]:
    """The rows with what stands in the first columns left out where it is that of the row above."""
    found: list[tuple[Content, ...]] = []
    above: tuple[Content, ...] = ()
    for row in rows:
        same = 0
        while same < columns and same < len(above) and above[same] == row[same]:
            same += 1
        found.append(("",) * same + row[same:])
        above = row
    return tuple(found)


def plural(count: int, word: str) -> str:
    """A count with its noun."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def fraction(value: float) -> str:
    """A share of 1 as percent."""
    return f"{100 * value:.4g} %"
