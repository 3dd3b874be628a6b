# SPDX-License-Identifier: Apache-2.0
"""The life of guests against a host that is played: what is copied, in which words a start fails, what is stopped."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.build.progress import Silent
from orchestrator.errors import AttestationError, BootError, UsageError
from orchestrator.shell import ssh
from orchestrator.shell.ssh import Finished
from orchestrator.testbed import guest, guest_life, probe
from orchestrator.testbed import guests as guests_module
from orchestrator.testbed.attestation import Answer
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.guests import GuestOptions, Guests
from orchestrator.testbed.probe import GuestReport, GuestState, Probe
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed as Bed
from orchestrator.words import World

ROOT = Path(__file__).resolve().parents[3]
REALM, VM = GuestName(World.REALM), GuestName(World.VM)
PROVED = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes([7] * 32)).decode()
KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


@dataclass
class Proof:
    """What a realm has proved; with a reason it is refused."""

    refused: str
    answer: Answer = field(default_factory=lambda: Answer(PROVED, b"a token"))

    def save(self, folder: Path) -> Path:
        return folder / "realm.json"

    def insist(self) -> None:
        if self.refused:
            raise AttestationError(self.refused)


@dataclass
class Host:
    """What the host would answer, and what it was asked."""

    facts: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Finished] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    reached: list[tuple[str, str]] = field(default_factory=list)
    free_kib: int = 2_900_000
    attested: list[str] = field(default_factory=list)
    refused: str = ""
    probed: Finished | None = None  # in place of an answer made of the facts

    def attempt(self, _link: object, command: str, _timeout: float = 0) -> Finished:
        self.asked.append(command)
        if command in (probe.probe_script(), probe.probe_script(stats=True)):
            if self.probed is not None:
                return self.probed
            lines = [f"{subject} {rest}" for subject, rest in self.facts.items()]
            return Finished(0, "\n".join([*lines, f"host available {self.free_kib} kB"]), "")
        for part, answer in self.answers.items():
            if part in command:
                return answer
        if started := re.search(r" run --world \w+ --dir /run/guest/(\w+) ", command):
            self.facts[started[1]] = "pid 300"
        if "host-key" in command:
            return Finished(0, f"host-key {KEY}\nbooted 0.50 1.25\n", "")
        if "rvmm stop" in command:
            self.facts |= dict.fromkeys({name for name in self.facts if GuestName.parse(name)}, "exit stopped")
        return Finished(0, "", "")

    def attest(self, _bed: object, realm: GuestName, _policy: object, _gateway: object) -> Proof:
        self.attested.append(str(realm))
        return Proof(self.refused)

    def put(self, _link: object, _source: Path, target: str) -> None:
        self.copied.append(target.removesuffix(".new"))

    def get(self, _link: object, _source: str, target: Path) -> None:
        target.write_bytes(b"first\r\n\x1b[1mlast\x1b[0m words\r\n")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    played = Host()
    for name in ("attempt", "put", "get"):
        monkeypatch.setattr(ssh, name, getattr(played, name))
    monkeypatch.setattr(ssh, "capture", lambda link, command, _timeout=0: played.attempt(link, command).stdout)

    @contextmanager
    def opened(server: ssh.Server, _timeout: float) -> Iterator[object]:
        played.reached.append((server.address, server.host_key))
        yield object()

    monkeypatch.setattr(ssh, "opened", opened)
    monkeypatch.setattr(guests_module, "attest", played.attest)
    return played


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Host) -> Callable[..., Guests]:
    """Guests of a testbed whose host is up and whose artifacts are a few bytes each."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def made(extra: str = "", *, deterministic: bool = False, seed: int = 42) -> Guests:
        path = tmp_path / "testbed.yaml"
        path.write_text((ROOT / "testbed.yaml").read_text(encoding="utf-8") + extra, encoding="utf-8")
        bed = Bed(Project.open(path), Silent())

        @contextmanager
        def link(_timeout: float | None = None) -> Iterator[object]:
            yield object()

        monkeypatch.setattr(bed, "host", link)
        options = {"deterministic": deterministic, "seed": seed}
        monkeypatch.setattr(bed, "running", lambda: {"ssh_port": 1, "options": options})
        monkeypatch.setattr(bed.guests, "source", lambda file: tmp_path / file.name)
        for file in guest.files_for(World.REALM):
            (tmp_path / file.name).write_text(file.name)
        tree = {"block_bytes": 4096, "data_blocks": 3, "root_hash": "ab" * 32}
        (tmp_path / "runtime.img.json").write_text(json.dumps(tree))
        bed.guests.machine_started(list(guest.SEEDED))
        return bed.guests

    return made


def events(guests: Guests) -> list[str]:
    text = (guests.record.folder / "events.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["event"] for line in text.splitlines()]


def test_only_what_the_host_lacks_is_copied(make: Callable[..., Guests], host: Host, tmp_path: Path) -> None:
    guests = make()
    assert guests.start(VM, GuestOptions()).how == "started"
    assert host.copied == ["/usr/bin/rvmm"]
    assert guests.start(REALM, GuestOptions()).how == "started"
    assert host.copied == ["/usr/bin/rvmm", "/usr/lib/realm.ko"]
    guests.stop(VM)
    (tmp_path / "rvmm").write_text("newer")
    guests.start(VM, GuestOptions())
    assert host.copied[2:] == ["/usr/bin/rvmm"]
    starts = [command for command in host.asked if " run --world" in command]
    assert [f"--run-id {run}" in command for run, command in enumerate(starts, 1)] == [True, True, True]
    assert events(guests)[:4] == ["start", "guest-ready", "ssh", "start"]


def test_consoles_stay_until_the_next_machine(make: Callable[..., Guests]) -> None:
    guests = make()
    guests.start(VM, GuestOptions())
    guests.stop_all()
    assert guests.record.console_lines(VM) == ["first", "last words"]
    guests.machine_started([])
    assert guests.record.console_lines(VM) == []
    assert [path.name for path in guests.record.folder.glob("*.log")] == []
    assert len(events(guests)) > 1


def test_a_guest_that_runs_is_left_alone(make: Callable[..., Guests], host: Host) -> None:
    guests = make()
    guests.start(VM, GuestOptions(memory_mib=128))
    before = len([command for command in host.asked if " run --world" in command])
    assert guests.start(VM, GuestOptions()).how == "already up"
    assert guests.start(VM, GuestOptions(memory_mib=128)).how == "already up"
    with pytest.raises(UsageError, match="the vm is up with memory_mib 128"):
        guests.start(VM, GuestOptions(memory_mib=256))
    assert len([command for command in host.asked if " run --world" in command]) == before


def test_the_driver_says_why_it_was_not_loaded(make: Callable[..., Guests], host: Host) -> None:
    host.answers = {"insmod": Finished(1, "", "insmod: No such device"), "dmesg": Finished(0, "no RMM that …\n", "")}
    with pytest.raises(BootError, match=r"^realm: the driver was not loaded: no RMM that …$") as caught:
        make().start(REALM, GuestOptions())
    assert caught.value.exit_code == 4


def test_a_start_that_the_vmm_refuses(make: Callable[..., Guests], host: Host) -> None:
    host.answers = {" run --world": Finished(1, "", "rvmm: /dev/kvm: no such device\n")}
    with pytest.raises(BootError, match=r"^vm: it did not start: rvmm: /dev/kvm: no such device$"):
        make().start(VM, GuestOptions())


def test_a_guest_that_ends_too_early(make: Callable[..., Guests], host: Host) -> None:
    host.answers = {"guest-ready": Finished(1, "", ""), " run --world": Finished(0, "", "")}
    host.facts = {"vm": "exit error: it wrote to nowhere"}
    with pytest.raises(BootError, match="ended before state 'guest-ready': error: it wrote to nowhere") as caught:
        make().start(VM, GuestOptions())
    assert caught.value.console == ["first", "last words"]


def test_a_guest_that_never_gets_ready_is_stopped(make: Callable[..., Guests], host: Host) -> None:
    host.answers = {"guest-ready": Finished(4, "", "")}
    guests = make("timeouts:\n  guest_ready: 7\n")
    with pytest.raises(BootError, match=r"^vm: state 'guest-ready': not reached within 7 s$"):
        guests.start(VM, GuestOptions())
    assert "/usr/bin/rvmm stop /run/guest/vm 120" in host.asked
    assert events(guests) == ["start", "failed", "stop"]
    assert guests.record.console_lines(VM) == ["first", "last words"]


def test_a_start_that_was_interrupted_is_waited_for(make: Callable[..., Guests], host: Host) -> None:
    guests = make("timeouts:\n  guest_ready: 7\n")
    guests.start(VM, GuestOptions())
    record = guests.record.load()
    del record["guests"]["vm"]["ready"]  # the first `orch up` was killed before that
    guests.record.save(record)
    waits = len([command for command in host.asked if "guest-ready" in command])
    assert [guests.start(VM, GuestOptions()).how for _ in range(2)] == ["already up"] * 2
    assert len([command for command in host.asked if "guest-ready" in command]) == waits + 1
    guests.record.save(record)
    host.answers = {"guest-ready": Finished(4, "", "")}
    with pytest.raises(BootError, match=r"^vm: state 'guest-ready': not reached within 7 s$") as caught:
        guests.start(VM, GuestOptions())
    assert caught.value.console == ["first", "last words"]
    assert guests.status()["vm"]["state"] == "stopped"


def stops(host: Host) -> list[str]:
    return [command for command in host.asked if "rvmm stop" in command]


def test_sigkill_when_sigterm_does_not_do(make: Callable[..., Guests], host: Host) -> None:
    guests = make()
    guests.start(VM, GuestOptions(memory_mib=1024))
    host.answers = {"rvmm stop /run/guest/vm 250": Finished(4, "", "")}
    with pytest.raises(BootError, match=r"^vm: state 'stopped' not reached within 500 s$"):
        guests.stop(VM)
    assert stops(host) == ["/usr/bin/rvmm stop /run/guest/vm 250", "/usr/bin/rvmm stop /run/guest/vm 250 --kill"]


def test_the_longer_limit_counts_unless_the_host_goes(make: Callable[..., Guests], host: Host) -> None:
    guests = make()
    guests.start(VM, GuestOptions())
    guests.stop(VM)
    guests.start(VM, GuestOptions())
    guests.stop_all()
    assert stops(host) == [f"/usr/bin/rvmm stop /run/guest/vm {seconds}" for seconds in (120, 70)]


def test_a_guest_that_ended_by_itself_meanwhile(
    make: Callable[..., Guests], host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = make()
    guests.start(VM, GuestOptions())
    host.answers = {"rvmm stop": Finished(1, "", "rvmm: no guest there")}
    with pytest.raises(BootError, match="vm: it was not stopped: rvmm: no guest there"):
        guests.stop(VM)
    asked = [GuestReport(GuestState.RUNNING), GuestReport(GuestState.OFF), GuestReport(GuestState.OFF)]
    reports = iter([Probe({VM: report}, {}) for report in asked])
    for module in (guests_module, guest_life):
        monkeypatch.setattr(module, "ask", lambda _link, **_: next(reports))
    assert guests.stop(VM) == "stopped"


def test_what_a_killed_vmm_left_is_waited_for(make: Callable[..., Guests], host: Host) -> None:
    guests = make()
    guests.start(REALM, GuestOptions())
    host.facts = {"realm": "pid 300\nrealm ending"}
    assert guests.status()["realm"]["state"] == "ending"
    assert guests.start(REALM, GuestOptions()).how == "started"
    assert len(stops(host)) == 1
    host.facts = {"realm": "pid 300\nrealm ending"}
    assert guests.stop(REALM) == "stopped"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Finished(2, "", "sh: 1: Cannot fork\n"), "sh: 1: Cannot fork"),
        (Finished(0, "", ""), "its answer is not complete"),
        (Finished(0, "realm pid 300\n", ""), "its answer is not complete"),
    ],
)
def test_a_host_that_does_not_report(make: Callable[..., Guests], host: Host, answer: Finished, words: str) -> None:
    guests = make()
    guests.start(VM, GuestOptions())
    host.probed = answer
    message = f"the host does not report on its guests: {words}"
    for act in (lambda: guests.stop(VM), lambda: guests.start(REALM, GuestOptions())):
        with pytest.raises(BootError, match=f"^{message}$") as caught:
            act()
        assert caught.value.exit_code == 4
    assert guests.status()["vm"] == {"state": "unknown", "detail": message}


def test_guests_of_a_deterministic_machine_have_its_seed(make: Callable[..., Guests], host: Host) -> None:
    for deterministic, seed in ((False, 42), (True, 42), (True, 107)):
        host.facts, host.asked = {}, []
        make(deterministic=deterministic, seed=seed).start(VM, GuestOptions())
        (start,) = [command for command in host.asked if " run --world" in command]
        assert (f"--seed {seed} " in start) == deterministic
        assert ("--seed" in start) == deterministic


def test_a_host_without_guests_is_not_asked(make: Callable[..., Guests], host: Host) -> None:
    guests = make()
    guests.stop_all()
    assert guests.status() == {"realm": {"state": "absent"}, "vm": {"state": "absent"}, "driver": {}}
    assert host.asked == []


def test_status(make: Callable[..., Guests], host: Host) -> None:
    guests = make()
    guests.start(REALM, GuestOptions())
    host.facts["driver"] = "granules 70000"
    table = guests.status()
    assert (table["realm"]["state"], table["realm"]["pid"], table["realm"]["memory_mib"]) == ("running", 300, 256)
    assert table["driver"] == {"granules": 70000}
    assert guests.stop(REALM) == "stopped; delegated granules: 70000"
    assert guests.stop(REALM) == "was not up"


def test_memory_that_the_host_does_not_have(make: Callable[..., Guests], host: Host) -> None:
    host.free_kib = 300 << 10
    with pytest.raises(UsageError, match="vm: 256 MiB do not fit: the host has 300 MiB left"):
        make().start(VM, GuestOptions())


def test_a_disk_that_is_no_whole_number_of_sectors_is_told(
    make: Callable[..., Guests], host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Silent, "notice", lambda _self, text: told.append(text))
    (tmp_path / "model.img").write_bytes(bytes(1000))
    guests = make("guest:\n  disk: model.img\n")
    for name in (VM, REALM):
        guests.start(name, GuestOptions())
    expected = "guest.disk: model.img has 1000 bytes, no multiple of 512: guests see 1024, of which the last are zero"
    assert told == [expected], "once, not at each start"
    told.clear()
    (tmp_path / "model.img").write_bytes(bytes(1024))
    make("guest:\n  disk: model.img\n").start(VM, GuestOptions())
    assert told == []
    (tmp_path / "model.img").write_bytes(b"")
    with pytest.raises(UsageError, match=r"testbed\.yaml: guest\.disk: model\.img is empty"):
        make("guest:\n  disk: model.img\n").start(VM, GuestOptions())


def test_mistakes_are_refused(make: Callable[..., Guests], tmp_path: Path) -> None:
    guests = make()
    with pytest.raises(UsageError, match="memory_mib: Input should be greater than or equal to 64"):
        guests.config(GuestOptions(memory_mib=2))
    with pytest.raises(UsageError, match=r"testbed\.yaml:\d+:3: guest\.memory_mib: "):
        make("guest:\n  memory_mib: 4000\n")
    with pytest.raises(UsageError, match=r"testbed\.yaml:\d+:1: guest: .*may take half of 'memory_mib'"):
        make("guest:\n  swiotlb_slabs: 262144\n")
    with pytest.raises(UsageError, match=r"testbed\.yaml:\d+:3: guest\.cmdline_extra: .*a quote \(\"\) has no end"):
        make("guest:\n  cmdline_extra: 'x=\"a b'\n")
    (tmp_path / "Image").write_text("kernel")
    with pytest.raises(UsageError, match="the driver fits our own host kernel only"):
        make("stack:\n  host_kernel: Image\n").build([World.REALM])


def test_ssh_answers_through_the_host(make: Callable[..., Guests], host: Host) -> None:
    guests = make()
    start = guests.start(GuestName(World.REALM, 2), GuestOptions())
    assert start.fingerprint is not None
    assert host.reached == [("10.79.2.2", PROVED)], "not the key that the console has shown"
    known = guests.record.guest(GuestName(World.REALM, 2))
    assert (known["ready"], known["kernel_seconds"], known["ready_seconds"]) == (True, 0.5, 1.25)
    facts = guests.status()["realm2"]
    assert (facts["state"], facts["address"], facts["attested"]) == ("running", "10.79.2.2", True)
    assert guests.start(GuestName(World.REALM, 2), GuestOptions()).attested
    assert host.attested == ["realm2"], "once a life"


def test_a_realm_that_is_refused_does_not_stay(make: Callable[..., Guests], host: Host) -> None:
    host.refused = "rim: not 00"
    guests = make()
    with pytest.raises(AttestationError, match="rim: not 00"):
        guests.start(REALM, GuestOptions())
    assert host.reached == []
    assert guests.status()["realm"]["state"] == "stopped"


def test_ssh_to_a_realm_that_has_not_proved_itself(make: Callable[..., Guests], host: Host) -> None:
    """As after an `orch up` that was killed in between: what the console has shown does not count."""
    guests = make()
    guests.start(REALM, GuestOptions())
    assert guests.server(REALM, object()).host_key == PROVED
    guests.record.note(REALM, host_key=KEY, attestation=None)
    with pytest.raises(AttestationError, match="the realm has not proved that its SSH host key is its own"):
        guests.server(REALM, object())


def test_a_policy_that_is_not_there_costs_no_start(make: Callable[..., Guests], host: Host) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        make("attestation: {policy: nowhere.yaml}\n").start(REALM, GuestOptions())
    assert not [command for command in host.asked if " run --world" in command]


def test_a_realm_need_not_prove_itself(make: Callable[..., Guests], host: Host) -> None:
    host.refused = "rim: not 00"
    guests = make("attestation: {required: false}\n")
    assert not guests.start(REALM, GuestOptions()).attested
    assert host.reached == [("10.79.1.2", KEY)]


def test_a_guest_without_a_key_is_told(make: Callable[..., Guests], host: Host) -> None:
    host.answers = {"host-key": Finished(0, "booted 0.5 1.0\n", "")}
    guests = make()
    assert guests.start(VM, GuestOptions()).fingerprint is None
    assert host.reached == []
    with pytest.raises(BootError, match="the vm has shown no SSH host key"):
        guests.server(VM, object())


def test_the_disk_goes_to_the_host(make: Callable[..., Guests], host: Host, tmp_path: Path) -> None:
    (tmp_path / "model.img").write_bytes(bytes(512))
    guests = make("guest:\n  disk: model.img\n")
    guests.start(VM, GuestOptions())
    assert guest.DISK in host.copied
    (tmp_path / "model.img").unlink()
    with pytest.raises(UsageError, match=r"guest\.disk: no such file: model\.img"):
        make("guest:\n  disk: model.img\n")


def test_memory_that_is_promised_is_not_free(make: Callable[..., Guests], host: Host, tmp_path: Path) -> None:
    """Guests on demand have touched little, but may come to use what they were given."""
    (tmp_path / "model.img").write_bytes(bytes(16 << 20))
    guests = make("guest:\n  disk: model.img\n")
    host.free_kib = 600 << 10
    guests.start(REALM, GuestOptions())
    host.facts = {"realm": "pid 300", "driver": f"granules {128 << 8}"}  # 128 of 256 MiB
    with pytest.raises(UsageError, match=r"^vm: 512 MiB do not fit: the host has 472 MiB left beside 128 MiB that"):
        guests.start(VM, GuestOptions(memory_mib=512))
    assert guests.start(VM, GuestOptions()).how == "started"
    host.facts["vm"] = "pid 301\nvm resident 16384"  # 64 of 256 MiB
    (tmp_path / "model.img").write_bytes(bytes(32 << 20))
    with pytest.raises(UsageError, match=r"the host has 248 MiB left beside 320 MiB that"):
        guests.start(GuestName(World.VM, 2), GuestOptions())
