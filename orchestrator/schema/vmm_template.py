# SPDX-License-Identifier: Apache-2.0
"""The command line of a VMM that is not ours: a jinja2 template, rendered and split into words; pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

Value = str | int
# What a template may use, with values as a guest could have them: `check` tries it with these.
EXAMPLE: Mapping[str, Value] = {
    "world": "vm",
    "kernel": "/usr/lib/guest/Image",
    "initrd": "/usr/lib/guest/initrd",
    "cmdline": "console=ttyAMA0 panic=-1",
    "memory_mib": 256,
    "vcpus": 1,
    "tap": "tap-vm",
    "host_address": "10.79.9.1",
    "address": "10.79.9.2",
    "mac": "02:00:00:00:01:09",
    "disk": "",
    "runtime": "",
    "folder": "/run/guest/vm",
    "run": 1,
}
# Each command line has such words: that of the runtime's disk, and those of `guest.cmdline_extra`.
_QUOTED = """example="a  b" more='c'"""
_VARIANTS: tuple[Mapping[str, Value], ...] = (
    {},
    {"world": "realm"},
    {"disk": "/usr/lib/guest/disk"},
    {"runtime": "/usr/lib/guest/runtime.img"},
)


def check(template: str) -> None:
    """Raises ValueError if a template is not valid, names an unknown variable or gives no command."""
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415 - few testbeds have a template

    try:
        used = variables(template)
    except TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno} of the template: {error.message}") from None
    unknown = sorted(used - EXAMPLE.keys())
    if unknown:
        raise ValueError(f"unknown variable '{unknown[0]}'; there are: {', '.join(EXAMPLE)}")
    quoted = f"{EXAMPLE['cmdline']} {_QUOTED}"
    for variant in _VARIANTS:
        words = render(template, {**EXAMPLE, "cmdline": quoted, **variant})
        if "example=" in " ".join(words) and not any(_QUOTED in word for word in words):
            raise ValueError("a kernel's command line has quotes and blanks: write {{ cmdline | quote }} and no others")


def variables(template: str) -> set[str]:
    """The variables that a template names; raises jinja2.TemplateSyntaxError."""
    from jinja2 import meta  # noqa: PLC0415

    return meta.find_undeclared_variables(_environment().parse(template))


def render(template: str, values: Mapping[str, Value]) -> list[str]:
    """The words of the command; raises ValueError with a line that says what is wrong with the template."""
    from jinja2 import TemplateError  # noqa: PLC0415

    try:
        text = _environment().from_string(template).render(values)
    except (TemplateError, ArithmeticError, TypeError, LookupError) as error:
        raise ValueError(f"{error}; there are: {', '.join(EXAMPLE)}") from None
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"not a command line ({error}): {text}") from None
    if not words:
        raise ValueError("the template gives no command")
    return words


def _environment() -> Environment:
    from jinja2 import StrictUndefined  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    # It is a command, no page: no escapes of HTML. `quote` keeps a value one word, whatever is in it.
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.filters["quote"] = lambda value: shlex.quote(str(value))
    return environment
