# SPDX-License-Identifier: Apache-2.0
"""What needs no process: states from console lines, endings, stamps, the resume record, QEMU's complaints."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from orchestrator.machine.ending import judge, last_words
from orchestrator.machine.failure import start_failed
from orchestrator.machine.resume import ResumePort, go_record, resume_record
from orchestrator.machine.stamping import LONGEST_LINE, LineStamper, printable
from orchestrator.machine.states import Reason, Sighting, State, follows, reached, sight

T0 = 1_767_225_600.0
STAMP = "2026-01-01T00:00:00.000Z "


@pytest.mark.parametrize(
    ("line", "state", "reason", "detail"),
    [
        ("NOTICE:  Booting Trusted Firmware", State.FIRMWARE, None, ""),
        ("NOTICE:  BL31: v2.12.1(release):", State.FIRMWARE, None, ""),
        ("INFO:    BL31: Preparing for EL3 exit to normal world", State.KERNEL, None, ""),
        ("[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x000f0510]", State.KERNEL, None, ""),
        ("Booting Linux on physical CPU 0x0000000000 [0x000f0510]", State.KERNEL, None, ""),
        ("orch: host-ready", State.HOST_READY, None, ""),
        ("[    1.234567] orch: host-ready", State.HOST_READY, None, ""),
        ("orch: host-failed: no network card", State.FAILED, Reason.HOST_FAILED, "no network card"),
        ("orch: host-failed", State.FAILED, Reason.HOST_FAILED, "no reason given"),
        (
            "[    1.2][  T1] Kernel panic - not syncing: Attempted to kill init!",
            State.FAILED,
            Reason.PANIC,
            "Kernel panic - not syncing: Attempted to kill init!",
        ),
        ("PANIC at PC : 0x0e09614c", State.FAILED, Reason.FIRMWARE_PANIC, "PANIC at PC : 0x0e09614c"),
        ("Unhandled Exception in EL3.", State.FAILED, Reason.FIRMWARE_PANIC, "Unhandled Exception in EL3."),
    ],
)
def test_telling_lines(line: str, state: State, reason: Reason | None, detail: str) -> None:
    assert sight(line) == Sighting(state, reason, detail)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "orch: host-ready?",
        "# echo orch: host-ready",
        " orch: host-ready",
        "a log: Kernel panic - not syncing",
        "~ # ",
    ],
)
def test_lines_that_only_look_like_it(line: str) -> None:
    assert sight(line) is None


def test_a_machine_never_goes_back() -> None:
    firmware, ready = Sighting(State.FIRMWARE), Sighting(State.HOST_READY)
    assert follows(State.STARTING, firmware)
    assert follows(State.STARTING, ready)
    assert not follows(State.KERNEL, firmware)
    assert not follows(State.HOST_READY, ready)


def test_nothing_leaves_the_end() -> None:
    panic = Sighting(State.FAILED, Reason.PANIC, "x")
    assert follows(State.HOST_READY, panic)
    for state in (State.STOPPING, State.STOPPED, State.FAILED):
        assert not follows(state, panic)


def test_reached_counts_states_on_the_way_up() -> None:
    assert reached(State.HOST_READY, State.FIRMWARE)
    assert reached(State.STOPPED, State.STOPPED)
    assert not reached(State.FIRMWARE, State.KERNEL)
    assert not reached(State.RESTORING, State.FIRMWARE)
    assert not reached(State.FAILED, State.FIRMWARE)
    assert not reached(State.HOST_READY, State.STOPPED)


PANIC = Sighting(State.FAILED, Reason.PANIC, "p")
FIRMWARE = Sighting(State.FAILED, Reason.FIRMWARE_PANIC, "f")


@pytest.mark.parametrize(
    ("requested", "seen", "shutdown", "code", "verdict"),
    [
        (True, None, "host-qmp-quit", 0, (State.STOPPED, Reason.REQUESTED)),
        (True, None, None, -9, (State.STOPPED, Reason.REQUESTED)),
        (False, PANIC, "guest-reset", 0, (State.FAILED, Reason.PANIC)),
        (True, PANIC, "host-qmp-quit", 0, (State.FAILED, Reason.PANIC)),
        (False, None, "guest-reset", 0, (State.FAILED, Reason.GUEST_RESET)),
        (False, None, "guest-shutdown", 0, (State.STOPPED, Reason.GUEST_SHUTDOWN)),
        (False, FIRMWARE, "guest-shutdown", 0, (State.STOPPED, Reason.GUEST_SHUTDOWN)),
        (True, FIRMWARE, "host-qmp-quit", 0, (State.FAILED, Reason.FIRMWARE_PANIC)),
        (False, None, "host-signal", 0, (State.FAILED, Reason.QEMU_EXIT)),
        (False, None, None, 1, (State.FAILED, Reason.QEMU_EXIT)),
        (False, None, None, -9, (State.FAILED, Reason.QEMU_EXIT)),
    ],
)
def test_verdicts(
    requested: bool, seen: Sighting | None, shutdown: str | None, code: int, verdict: tuple[State, Reason]
) -> None:
    ending = judge(requested=requested, seen=seen, shutdown=shutdown, code=code, words="")
    assert (ending.state, ending.reason) == verdict


def test_a_machine_that_ended_with_its_owner_says_so() -> None:
    facts = {"seen": None, "shutdown": "host-qmp-quit", "code": 0, "words": ""}
    assert judge(requested=True, owner_gone=True, **facts).reason is Reason.OWNER_GONE
    assert judge(requested=False, owner_gone=True, **facts).reason is Reason.QEMU_EXIT


def test_a_killed_qemu_is_named_by_its_signal() -> None:
    ending = judge(requested=False, seen=None, shutdown=None, code=-11, words="bug")
    assert ending.detail == "signal SIGSEGV: bug"


def test_last_words_are_the_cause() -> None:
    assert last_words("") == ""
    assert last_words("warning: a\nqemu-system-aarch64: -x: invalid option\n\n") == "-x: invalid option"
    refused = ["Missing section footer", "load of migration failed: Invalid argument"]
    assert last_words("".join(f"qemu-system-aarch64: {line}\n" for line in refused)) == "Missing section footer"


def test_lines_are_stamped_when_they_begin() -> None:
    stamper = LineStamper()
    assert stamper.feed(b"one\r\ntw", T0) == f"{STAMP}one\n"
    assert stamper.take() == ["one"]
    assert stamper.feed(b"o\nthree\n", T0) == f"{STAMP}two\n{STAMP}three\n"
    assert stamper.take() == ["two", "three"]


def test_a_prompt_appears_and_is_continued_on_its_line() -> None:
    stamper = LineStamper()
    assert stamper.feed(b"login: ", T0) == ""
    assert stamper.flush(T0) == f"{STAMP}login: "
    assert stamper.flush(T0 + 5) == ""
    assert stamper.feed(b"root\n", T0 + 9) == "root\n"
    assert stamper.take() == ["login: root"]


def test_the_end_of_the_stream_ends_the_line() -> None:
    stamper = LineStamper()
    assert stamper.close(T0) == ""
    stamper.feed(b"cut", T0)
    assert stamper.close(T0) == f"{STAMP}cut\n"


def test_endless_line_is_cut() -> None:
    stamper = LineStamper()
    out = stamper.feed(b"x" * (LONGEST_LINE + 10), T0)
    assert out == f"{STAMP}{'x' * LONGEST_LINE}\n"
    assert len(stamper.pending) == 10


def test_characters_cut_in_two_are_joined() -> None:
    stamper = LineStamper()
    stamper.feed("ü".encode()[:1], T0)
    stamper.feed("ü".encode()[1:] + b"\xff\n", T0)
    assert stamper.take() == ["ü\ufffd"]


def test_terminal_sequences_do_not_reach_the_terminal() -> None:
    assert printable("\x1b[31mred\x1b[0m \x1b]0;title\x07\x07tab\t") == "red \\x07tab\t"


def test_resume_record_layout() -> None:
    seed = bytes(range(64))
    record = resume_record(0x0102, 3, seed)
    assert record == b"ORCHRSM1" + b"\x02\x01" + bytes(6) + b"\x03" + bytes(7) + seed
    with pytest.raises(ValueError, match="64"):
        resume_record(0, 0, b"short")
    with pytest.raises(ValueError, match="nanoseconds"):
        resume_record(0, 1_000_000_000, seed)
    assert go_record() == b"ORCHGO_1" + bytes(len(record) - 8)


def test_a_late_answer_is_not_taken_for_the_next(tmp_path: Path) -> None:
    async def talk() -> None:
        port = ResumePort(tmp_path / "resume")
        await port.listen()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "resume")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await port.send(go_record())
        second = asyncio.create_task(port.send(go_record()))
        await reader.readexactly(2 * len(go_record()))
        writer.write(b"ok\nerror: nobody waits\n")
        with pytest.raises(ValueError, match="'error: nobody waits'"):
            await second
        writer.close()
        port.close()

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("Could not set up host forwarding rule 'tcp:127.0.0.1:22-:22'", "port 22", "ssh.port"),
        ("-device loader,file=/a: Cannot load specified image /a", "/a", "orch build"),
        ("/no/qemu: No such file or directory", "/no/qemu", "orch build"),
        ("-x: invalid option", "-x: invalid option", "orch show cmdline"),
        ("cannot set up guest memory 'mach-virt.ram': Cannot allocate memory", "guest memory", "ulimit"),
    ],
)
def test_known_complaints_get_advice(words: str, message: str, hint: str) -> None:
    error = start_failed(words, Path("/run/qemu.log"))
    assert message in error.message
    assert error.hint is not None
    assert hint in error.hint
    assert error.exit_code == 6
