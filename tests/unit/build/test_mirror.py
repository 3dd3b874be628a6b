# SPDX-License-Identifier: Apache-2.0
"""Mirror discovery from what apt prints about its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.build import mirror
from orchestrator.errors import EnvError

UPDATED = """\
http://one.example/debian/\tbookworm\tDebian\tDebian\tmain
http://one.example/debian/\tbookworm-updates\tDebian\tDebian\tmain
http://one.example/debian-security/\tbookworm-security\tDebian\tDebian-Security\tmain
http://two.example/debian/\ttrixie\tDebian\tDebian\tmain
http://apps.example/repo/\tstable\tSomebody\tSomebody\tmain
"""
NEVER_UPDATED = """\
http://one.example/debian/\tbookworm\t$(ORIGIN)\t$(LABEL)\tmain
http://one.example/debian/\tbookworm\t$(ORIGIN)\t$(LABEL)\tcontrib
http://one.example/debian-security/\tbookworm-security\t$(ORIGIN)\t$(LABEL)\tmain
http://security.example/debian\ttrixie\t$(ORIGIN)\t$(LABEL)\tmain
http://apps.example/repo/\tnodistro\t$(ORIGIN)\t$(LABEL)\tmain
"""
UBUNTU = """\
http://archive.example/ubuntu/\tnoble\tUbuntu\tUbuntu\tmain
http://archive.example/ubuntu/\tnoble\t$(ORIGIN)\t$(LABEL)\tmain
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UPDATED, ["http://one.example/debian/", "http://two.example/debian/"]),
        (NEVER_UPDATED, ["http://one.example/debian/"]),
        (UPDATED + NEVER_UPDATED, ["http://one.example/debian/", "http://two.example/debian/"]),
        (UBUNTU, []),
        ("", []),
        ("no tabs here\n", []),
    ],
)
def test_main_archive_is_found(text: str, expected: list[str]) -> None:
    assert mirror.choose_mirrors(mirror.parse_targets(text)) == expected


def use_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, text: str) -> None:
    """Let apt read one sources file and find no downloaded index."""
    (tmp_path / "lists/partial").mkdir(parents=True)
    (tmp_path / name).write_text(text)
    configuration = tmp_path / "apt.conf"
    configuration.write_text(
        f'Dir::State::lists "{tmp_path}/lists"; Dir::Etc::sourcelist "{tmp_path / name}"; '
        'Dir::Etc::sourceparts "/dev/null"; Dir::Etc::parts "/dev/null"; Dir::Cache "/nonexistent";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    monkeypatch.delenv("ORCH_MIRROR", raising=False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.list", "deb [arch=amd64] http://one.example/debian trixie main\n"),
        (
            "a.sources",
            "Types: deb\nURIs: http://one.example/debian/\nSuites: trixie trixie-updates\nComponents: main\n",
        ),
        ("b.sources", "Types: deb\nURIs: mirror+file:{folder}/mirrors\nSuites: trixie\nComponents: main\n"),
    ],
)
def test_apt_that_was_never_updated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "mirrors").write_text("# ours\nhttp://one.example/debian\tpriority:1\n")
    use_sources(monkeypatch, tmp_path, name, text.format(folder=tmp_path))
    assert mirror.mirrors() == ["http://one.example/debian/"]


def test_nothing_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_sources(monkeypatch, tmp_path, "a.list", "deb http://archive.example/ubuntu noble main\n")
    with pytest.raises(EnvError, match="knows no mirror of the Debian archive") as caught:
        mirror.mirrors()
    assert "set ORCH_MIRROR" in str(caught.value.hint)
    assert caught.value.exit_code == 6


def test_told_mirror_and_keyring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORCH_MIRROR", "http://mine.example/debian")
    assert mirror.mirrors() == ["http://mine.example/debian/"]
    monkeypatch.setenv("ORCH_KEYRING", str(tmp_path / "none.gpg"))
    with pytest.raises(EnvError, match="no such file"):
        mirror.keyring()
