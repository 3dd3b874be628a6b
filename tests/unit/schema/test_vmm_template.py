# SPDX-License-Identifier: Apache-2.0
"""Templates of a VMM's command line: what they give; each mistake is one line with its place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.schema import vmm_template
from orchestrator.schema.testbed import TestbedConfig as Config
from orchestrator.schema.yamlfile import loads

ROOT = Path(__file__).resolve().parents[3]
GOOD = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
VALUES = dict(vmm_template.EXAMPLE)


def test_values_become_words() -> None:
    words = vmm_template.render("vmm -m {{ memory_mib }}M -k '{{ kernel }}' --append={{ cmdline | quote }}", VALUES)
    assert words == ["vmm", "-m", "256M", "-k", "/usr/lib/guest/Image", "--append=console=ttyAMA0 panic=-1"]


def test_a_command_line_may_be_changed() -> None:
    template = "vmm {{ (cmdline | replace('ttyAMA0', 'hvc0') ~ ' root=/dev/vda') | quote }}"
    with pytest.raises(ValueError, match="quote"):
        vmm_template.check(template.replace(" | quote", ""))
    vmm_template.check("vmm {{ (cmdline ~ ' root=/dev/vda') | quote }}")
    vmm_template.check(template)


def test_no_shell_sees_the_command() -> None:
    hostile = VALUES | {"cmdline": 'a\'b "c" $(reboot); `x` > y'}
    assert vmm_template.render("vmm {{ cmdline | quote }} | $HOME", hostile) == [
        *("vmm", 'a\'b "c" $(reboot); `x` > y', "|", "$HOME")
    ]


def test_conditions() -> None:
    template = "vmm{% if disk %} --disk {{ disk }}{% endif %}{% for cpu in range(vcpus) %} --cpu {{ cpu }}{% endfor %}"
    vmm_template.check(template)
    assert vmm_template.render(template, VALUES | {"vcpus": 2}) == ["vmm", "--cpu", "0", "--cpu", "1"]
    assert vmm_template.render(template, VALUES | {"disk": "/d"})[1:3] == ["--disk", "/d"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("vmm {{ memory }}", "unknown variable 'memory'; there are: world, kernel, initrd, cmdline, memory_mib, "),
        ("vmm {% if world == 'realm' %}{{ krnel }}{% endif %}", "unknown variable 'krnel'"),
        ("vmm {{ kernel.name }}", "has no attribute 'name'"),
        ("vmm {{ kernel }", "line 1 of the template: unexpected '}'"),
        ("vmm {% if disk %}", "line 1 of the template: Unexpected end of template"),
        ("vmm {{ kernel | shout }}", "No filter named 'shout'"),
        ("vmm {{ memory_mib // 0 }}", "division"),
        ("vmm '{{ kernel }}", "not a command line (No closing quotation)"),
        ("{% if world == 'realm' %}vmm{% endif %}", "the template gives no command"),
        ("", "the template gives no command"),
        ("vmm {{ cmdline }}", "write {{ cmdline | quote }} and no others"),
        ("vmm '{{ cmdline }}'", "write {{ cmdline | quote }} and no others"),
        ("vmm '{{ cmdline | quote }}'", "write {{ cmdline | quote }} and no others"),
    ],
)
def test_mistakes_have_their_place(template: str, message: str) -> None:
    text = f'{GOOD}stack:\n  vmm:\n    command: "{template}"\n'
    with pytest.raises(UsageError) as caught:
        loads(text, "t.yaml", Config)
    line = len(text.splitlines())
    assert caught.value.message.startswith(f"t.yaml:{line}:5: stack.vmm.command: ")
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_code_of_a_template_reaches_nothing() -> None:
    with pytest.raises(ValueError, match="unsafe"):
        vmm_template.render("{{ ''.__class__.__mro__ }}", VALUES)


def test_unknown_world() -> None:
    with pytest.raises(UsageError, match=r"stack\.vmm\.worlds\.0: "):
        loads(f"{GOOD}stack:\n  vmm: {{command: x, worlds: [host]}}\n", "t.yaml", Config)
