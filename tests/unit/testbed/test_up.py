# SPDX-License-Identifier: Apache-2.0
"""Up and down on a platform that is played: one file and one registration, and a testbed has machines of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from fake_platform import FakeOptions, FakePlatform

from orchestrator.build.progress import Silent
from orchestrator.cli.main import orch
from orchestrator.errors import BootError, EnvError, UsageError
from orchestrator.machine.needs import needs_of
from orchestrator.machine.platform import Capability
from orchestrator.machine.states import State
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed as Bed
from orchestrator.testbed.testbed import UpOptions

if TYPE_CHECKING:
    from conftest import Up


def test_cold_then_saved_then_restored(make: Callable[..., Up]) -> None:
    up = make()
    up.machine.memory[:4] = b"host"
    assert up.bed.up(UpOptions()).how == "cold"
    assert up.said() == ["boot", "save"]
    assert up.bed.up(UpOptions()).how == "already up"
    assert up.said() == []
    assert up.bed.down()
    up.machine.memory[:4] = b"gone"
    result = up.bed.up(UpOptions(tied=True))
    assert (result.how, result.ssh_port) == ("restored", up.machine.blueprint.ssh_port if up.machine.blueprint else 0)
    assert up.said() == ["stop", "restore tied", "time and seed"]
    assert up.machine.memory[:4] == b"host"
    up.bed.down()
    assert up.bed.up(UpOptions(fresh=True)).how == "cold"
    assert up.said() == ["stop", "boot"]  # there is a saved one already


def test_a_state_that_is_refused_is_dropped_and_the_machine_boots(make: Callable[..., Up]) -> None:
    up = make()
    up.bed.up(UpOptions())
    up.bed.down()
    up.said()
    wait, waited = up.machine.wait, []

    def refuse_once(wanted: State, timeout: float, progress: object = None) -> object:
        waited.append(wanted)
        if len(waited) == 1:
            raise BootError("host-ready not reached: the saved state was refused")
        return wait(wanted, timeout)

    up.machine.wait = refuse_once  # type: ignore[method-assign]
    assert up.bed.up(UpOptions()).how == "cold"
    assert up.said() == ["restore", "stop", "boot", "save"]
    assert up.progress.said == ["snapshot unusable, booting cold: host-ready not reached: the saved state was refused"]


def test_a_machine_that_cannot_be_saved_is_none_the_worse(make: Callable[..., Up]) -> None:
    up = make()
    up.machine.unsaveable = True
    assert up.bed.up(UpOptions()).how == "cold"
    assert up.progress.said == ["no snapshot was saved: save: No space left on device"]
    assert up.bed.running() is not None


@pytest.mark.parametrize("state", [State.FIRMWARE, State.KERNEL, State.HOST_READY])
def test_a_boot_that_fails_leaves_no_machine(make: Callable[..., Up], state: State) -> None:
    up = make()
    up.machine.fails[state] = "it panicked"
    with pytest.raises(BootError, match=f"{state} not reached: it panicked"):
        up.bed.up(UpOptions())
    assert up.bed.running() is None
    assert not up.machine.status().alive


def test_a_host_that_does_not_answer_leaves_no_machine(make: Callable[..., Up], tmp_path: Path) -> None:
    up = make()
    (tmp_path / "silent").touch()
    with pytest.raises(BootError, match="state 'ssh': no answer on port") as caught:
        up.bed.up(UpOptions())
    assert caught.value.console == ["powered on"]
    assert up.said() == ["boot", "stop"]


def test_a_port_that_is_taken_meanwhile_is_replaced_where_any_will_do(make: Callable[..., Up], tmp_path: Path) -> None:
    up = make()
    up.machine.ports_taken = 3
    result = up.bed.up(UpOptions())
    assert up.machine.blueprint is not None
    assert result.ssh_port == up.machine.blueprint.ssh_port == up.bed.need_running()["ssh_port"]
    assert up.said() == ["boot", "save"]
    up.bed.down()
    up.machine.ports_taken = 99
    with pytest.raises(EnvError, match="cannot be used for SSH"):
        up.bed.up(UpOptions())
    with up.file.open("a", encoding="utf-8") as file:
        file.write("ssh:\n  port: 2222\n")
    up.machine.ports_taken = 1
    with pytest.raises(EnvError, match="port 2222"):
        Bed(Project.open(up.file), Silent()).up(UpOptions())


def test_deterministic_machines_are_neither_saved_nor_restored(make: Callable[..., Up], tmp_path: Path) -> None:
    up = make()
    up.bed.up(UpOptions(deterministic=True, seed=7))
    assert up.said() == ["boot"]
    blueprint = up.machine.blueprint
    assert blueprint is not None
    assert (blueprint.cpus, blueprint.seed, blueprint.kernel_args[-1]) == (1, 7, "orch.deterministic")
    up.bed.save(tmp_path / "here")
    up.bed.replay(tmp_path / "here", UpOptions(deterministic=True, seed=7, tied=True))
    assert up.said() == ["save", "stop", "restore tied"]  # and nothing is told to it


def test_what_the_platform_cannot_do_is_refused_or_left_out(make: Callable[..., Up], tmp_path: Path) -> None:
    up = make(FakePlatform(capabilities=frozenset({Capability.RUN})))
    said = r"testbed\.yaml: machine\.platform: fake: it "
    for options, words in (
        (UpOptions(count=True), "does not count"),
        (UpOptions(deterministic=True), "cannot let time follow"),
    ):
        with pytest.raises(UsageError, match=said + words):
            up.bed.up(options)
    assert up.bed.up(UpOptions()).how == "cold"
    assert up.said() == ["boot"]
    with pytest.raises(UsageError, match=said + "cannot save"):
        up.bed.save(tmp_path / "here")
    with pytest.raises(UsageError, match=said + "cannot go on from a saved machine twice"):
        up.bed.replay(tmp_path / "here", UpOptions())
    with pytest.raises(UsageError, match=said + "does not count"):
        up.bed.counter()


def test_the_platform_has_the_last_word_on_combinations(make: Callable[..., Up]) -> None:
    with pytest.raises(UsageError, match="13 is no seed"):
        make().bed.up(UpOptions(deterministic=True, seed=13))


def test_a_counter_is_there_if_it_was_asked_for(make: Callable[..., Up]) -> None:
    up = make()
    with pytest.raises(BootError, match="is not up"):
        up.bed.counter()
    up.bed.up(UpOptions())
    with pytest.raises(UsageError, match="this machine runs without the counter"):
        up.bed.counter()
    up.bed.down()
    up.bed.up(UpOptions(count=True))
    up.machine.counted.mark(2, 1)
    assert [each.event for each in up.bed.counter().markers()] == [2]


def test_status_is_the_same_table_up_or_not(make: Callable[..., Up]) -> None:
    up = make()
    before = up.bed.status()
    assert (before["state"], before["up"], before["ssh_port"], before["last_line"]) == ("stopped", False, None, None)
    assert up.bed.console_logs() == {}
    up.bed.up(UpOptions(count=True))
    after = up.bed.status()
    assert set(after) == set(before)
    assert (after["state"], after["up"], after["count"], after["last_line"]) == ("host-ready", True, True, "powered on")
    assert up.bed.console_logs() == {"tty0": up.machine.folder / "console/tty0.log"}
    assert up.bed.platform_version() == "0.1 (of this test)"
    assert needs_of(up.bed.project.config, deterministic=False).memory_mib == 7


def test_its_own_section_of_the_testbed_file(make: Callable[..., Up], tmp_path: Path) -> None:
    platform = FakePlatform(options=FakeOptions)
    with pytest.raises(UsageError, match=r"machine: platform 'fake' needs the section 'fake' with rom$"):
        make(platform)
    file, text = tmp_path / "testbed.yaml", (tmp_path / "testbed.yaml").read_text(encoding="utf-8")

    def opened(section: str) -> Project:
        file.write_text(text.replace("  platform: fake\n", f"  platform: fake\n  {section}\n"), encoding="utf-8")
        return Project.open(file)

    for section, words in (
        ("fake: {rom: 7}", r"testbed\.yaml:5:10: machine\.fake\.rom: Input is not a valid path"),
        ("fake: {rom: rom, speed: fast}", r"testbed\.yaml:5:20: machine\.fake\.speed: Input should be a valid integer"),
        ("fake: {rom: rom}", r"testbed\.yaml: machine\.fake\.rom: no such file: rom"),
        ("fack: {rom: rom}", r"testbed\.yaml:5:3: machine\.fack: unknown key"),
        ("qemu: {}", r"testbed\.yaml:5:3: machine\.qemu: unknown key"),
    ):
        with pytest.raises(UsageError, match=words):
            opened(section)
    (tmp_path / "rom").touch()
    assert opened("fake: {rom: rom}").given()["machine.fake.rom"] == tmp_path / "rom"
    done = CliRunner().invoke(orch, ["--testbed", str(file), "show", "cmdline", "--by-hand"])
    assert done.exit_code == 0, done.output
    assert shlex.split(done.output) == ["fake", f"machine.fake.rom={tmp_path}/rom", "port=0", "by-hand"]


def test_an_unknown_platform_lists_the_known(make: Callable[..., Up], tmp_path: Path) -> None:
    file = make().file
    text = file.read_text(encoding="utf-8").replace("platform: fake", "platform: fark")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"machine\.platform: expected one of qemu, fvp, fake, found 'fark'"):
        Project.open(file)
