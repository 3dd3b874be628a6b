# SPDX-License-Identifier: Apache-2.0
"""Several machines of one testbed beside each other: what they share and what each has of its own."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.build.progress import Silent
from orchestrator.errors import UsageError
from orchestrator.shell.keys import SshKeys
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed as Bed
from orchestrator.testbed.testbed import UpOptions

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A testbed that asks for a port."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "testbed.yaml"
    text = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
    file.write_text(text + "ssh:\n  port: 2222\n", encoding="utf-8")
    return Project.open(file)


def test_each_has_folders_sockets_and_ports_of_its_own(project: Project, tmp_path: Path) -> None:
    beds = [Bed(each, Silent()) for each in (project, *(project.with_state(tmp_path / name) for name in "ab"))]
    for of in ("state", "instance.paths.folder", "instance.sockets", "snapshots._folder", "guests.record.folder"):
        places = set()
        for bed in beds:
            place: object = bed
            for part in of.split("."):
                place = getattr(place, part)
            places.add(place)
        assert len(places) == 3
    assert [bed.project.ssh_port for bed in beds] == [2222, 0, 0]
    with beds[0].exclusive(), beds[1].exclusive(), beds[2].exclusive():
        pass


def test_they_are_made_of_the_same_bytes(project: Project, tmp_path: Path) -> None:
    users, *others = [Bed(each, Silent()) for each in (project, *(project.with_state(tmp_path / n) for n in "ab"))]
    overlays = {bed._overlay({}).read_bytes() for bed in (users, *others)}
    assert len(overlays) == 1
    assert not (tmp_path / "a/keys").exists()
    apart = Bed(project.with_state(tmp_path / "c", keys=tmp_path / "keys"), Silent())
    assert apart._overlay({}).read_bytes() not in overlays
    assert (tmp_path / "keys/user").exists()


def test_keys_that_many_make_at_once_are_one_pair(tmp_path: Path) -> None:
    def make(_: int) -> bytes:
        keys = SshKeys(tmp_path / "keys")
        keys.ensure()
        return keys.user.read_bytes() + keys.host.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(64)))) == 1
    assert {path.name for path in (tmp_path / "keys").iterdir()} == {"user", "host"}


def test_what_a_dead_owner_left_is_no_running_machine(project: Project, tmp_path: Path) -> None:
    bed = Bed(project.with_state(tmp_path / "a"), Silent())
    bed.state.mkdir()
    (bed.state / "up.json").write_text(json.dumps({"ssh_port": 1, "options": {"tied": True}}), encoding="utf-8")
    assert bed.running() is None
    assert bed.down() is False
    assert not (bed.state / "up.json").exists()


def test_a_machine_that_is_up_is_not_tied_afterwards(project: Project) -> None:
    bed = Bed(project, Silent())
    options = {"deterministic": False, "count": False, "count_mode": "fast"}
    assert bed._already_up({"ssh_port": 1, "options": options}, UpOptions()).how == "already up"
    for has, wanted in ((options, True), (options | {"tied": True}, False)):
        with pytest.raises(UsageError, match="up with other options"):
            bed._already_up({"ssh_port": 1, "options": has}, UpOptions(tied=wanted))
