# SPDX-License-Identifier: Apache-2.0
"""A page as one HTML file: no script, nothing from elsewhere, everything escaped but our own figures."""

from __future__ import annotations

from importlib import resources

import jinja2
from markupsafe import Markup

from orchestrator.report.model import Page, Plot


def render(page: Page) -> str:
    """The file's text; the same page always gives the same text."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, finalize=_unbroken
    )
    environment.filters["figure"] = _figure
    source = resources.files(__package__ or "orchestrator.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    text = environment.from_string(source).render(page=page)
    return text.encode(errors="backslashreplace").decode()  # of a name that is no text its bytes are told


def _unbroken(value: object) -> object:
    """No line ends between a number and its percent sign."""
    return value.replace(" %", "\u00a0%") if isinstance(value, str) and not isinstance(value, Markup) else value


def _figure(plot: Plot) -> Markup:
    return Markup(plot.svg)  # noqa: S704 - drawn here, with texts escaped by matplotlib and svg.py
