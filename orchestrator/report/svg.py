# SPDX-License-Identifier: Apache-2.0
"""Figures as SVG inside a page: no prologue, ids of their own, a title and a description for those who do not see."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from orchestrator.report.style import SETTINGS

WIDTH = 8.6  # inches at 72 points; the page scales it
_FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
_FONT = re.compile(r"font-family: '[^;\"]*")


def draw(name: str, title: str, alt: str, height: float, paint: Callable[[Figure], None]) -> str:
    """Let `paint` fill a figure of WIDTH by `height` inches; returns an <svg> whose ids all begin with `name`."""
    with mpl.rc_context(SETTINGS):  # type: ignore[arg-type]  # keys are a type of their own there
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(stream.getvalue(), name, title, alt)


def standalone(svg: str) -> str:
    """A drawn figure as a file of its own: white below, with a size and with fonts that every computer has."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        raise ValueError("an <svg> without its size")
    opening, _, body = svg.partition(">")
    comment = "<!-- SPDX-License-Identifier: Apache-2.0 -->"
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    head, end, drawn = body.partition("</desc>")
    text = f'{opening} width="{box.group(1)}" height="{box.group(2)}">\n{comment}{head}{end}\n{ground}{drawn}\n'
    return text.replace("var(--sans)", _FONTS)


def _inline(svg: str, name: str, title: str, alt: str) -> str:
    body = _METADATA.sub("", svg[svg.index("<svg") :])
    body = _FONT.sub("font-family: var(--sans)", body)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    body = body.replace("url(#", f"url(#{name}-")
    opening = body[: body.index(">") + 1]
    box = re.search(r'viewBox="[^"]*"', opening)
    named = (
        f'<svg {box.group(0) if box else ""} role="img" aria-labelledby="{name}-title {name}-desc" '
        f'xmlns="http://www.w3.org/2000/svg">\n<title id="{name}-title">{escape(title)}</title>\n'
        f'<desc id="{name}-desc">{escape(alt)}</desc>'
    )
    return named + body[len(opening) :].rstrip()
