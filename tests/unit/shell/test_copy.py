# SPDX-License-Identifier: Apache-2.0
"""Files and folders copied to a machine and from it, whose names and permissions are its own; it may mean no good."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from pathlib import Path

import paramiko
import pytest
from fabric import Connection
from ssh_server import Host

from orchestrator.errors import EnvError, OrchError, UsageError
from orchestrator.shell import ssh

STRANGE = [os.fsdecode(b"na\xffme"), "zażółć", "a b'c\"d\\e", "%s#?*", "-rf", "x" * 250, "line\nbreak"]


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", STRANGE)
def test_any_name_comes_and_goes(link: Connection, host: Host, tmp_path: Path, name: str) -> None:
    for folder in ("there", "back"):
        (tmp_path / folder).mkdir()
    (tmp_path / name).write_bytes(b"content")
    (tmp_path / name).chmod(0o640)
    (host.home / "d").mkdir()
    ssh.put(link, tmp_path / name, "d")
    assert names(host.home) == ["d", f"d/{name}"]
    ssh.get(link, f"d/{name}", tmp_path / "there")
    ssh.get(link, "d", tmp_path / "back")
    for found in (tmp_path / "there" / name, tmp_path / "back/d" / name):
        assert found.read_bytes() == b"content"
        assert stat.S_IMODE(found.stat().st_mode) == 0o640
    assert names(tmp_path / "there") == [name]


@pytest.mark.parametrize("size", [0, 1, 32768, 32769, 5_000_000])
def test_any_size_comes_and_goes(link: Connection, host: Host, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    ssh.put(link, tmp_path / "file", "file")
    assert (host.home / "file").read_bytes() == content
    ssh.get(link, "file", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == content


def test_a_larger_file_is_replaced_whole(link: Connection, host: Host, tmp_path: Path) -> None:
    (host.home / "file").write_bytes(bytes(100_000))
    (tmp_path / "file").write_bytes(b"new")
    ssh.put(link, tmp_path / "file", "file")
    assert (host.home / "file").read_bytes() == b"new"


def test_a_whole_folder(link: Connection, host: Host, tmp_path: Path) -> None:
    (tmp_path / "d/e/f").mkdir(parents=True)
    (tmp_path / "d/e/one").write_text("1", encoding="utf-8")
    (tmp_path / "d/two").symlink_to("e/one")
    ssh.put(link, tmp_path / "d", "")
    assert names(host.home) == ["d", "d/e", "d/e/f", "d/e/one", "d/two"]
    assert not (host.home / "d/two").is_symlink()
    ssh.get(link, "d/", tmp_path / "again")
    assert names(tmp_path / "again") == ["e", "e/f", "e/one", "two"]
    ssh.put(link, tmp_path / "d", "d")  # into the one that is there
    assert (host.home / "d/d/e/one").read_text() == "1"


def test_the_folder_where_one_is(link: Connection, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here/x").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here/x")
    ssh.put(link, Path(), "")
    ssh.put(link, Path(".."), "")
    assert names(host.home) == ["here", "here/x", "x"]


def test_one_session_serves_all_copies(link: Connection, host: Host, tmp_path: Path) -> None:
    """Each is a program that a guest starts."""
    (tmp_path / "file").write_bytes(b"content")
    for number in range(3):
        ssh.put(link, tmp_path / "file", f"file{number}")
        ssh.get(link, f"file{number}", tmp_path / f"again{number}")
    assert len(host.sessions) == 1


def test_a_device_there_stays_one(link: Connection, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100_000))
    (tmp_path / "file").chmod(0o600)
    before = Path("/dev/null").stat()
    ssh.put(link, tmp_path / "file", "/dev/null")
    assert Path("/dev/null").stat().st_mode == before.st_mode


# --- what the machine does not take -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("nodir/x", "no such folder: nodir"),
        ("/nodir/deep/x", "no such folder: /nodir/deep"),
        ("nodir/", "no such folder: nodir"),
        ("file/x", "no such folder: file"),
        ("/proc/x", "(Permission denied|no such folder: /proc|.*nonexistent.*)"),
        ("y" * 300, "File name too long"),
    ],
)
def test_what_is_refused_has_its_cause(link: Connection, host: Host, tmp_path: Path, target: str, cause: str) -> None:
    (host.home / "file").touch()
    (tmp_path / "small").write_bytes(b"x")
    with pytest.raises(OrchError, match=rf"^cannot copy {tmp_path}/small to {target}(small)?: {cause}$") as caught:
        ssh.put(link, tmp_path / "small", target)
    assert type(caught.value) is OrchError
    assert link.is_connected


def test_a_folder_in_place_of_a_file(link: Connection, host: Host, tmp_path: Path) -> None:
    (host.home / "taken").touch()
    (tmp_path / "d").mkdir()
    with pytest.raises(OrchError, match=r"/d to taken: File exists$"):
        ssh.put(link, tmp_path / "d", "taken")


@pytest.mark.parametrize("size", [100_000, 5_000_000], ids=["fewer requests than are not waited for", "more"])
def test_a_full_machine(link: Connection, host: Host, tmp_path: Path, size: int) -> None:
    """SFTP says "Failure", the shell its cause. No half file stays, and the next copy works."""
    (tmp_path / "large").write_bytes(bytes(size))
    host.room = 70_000
    with pytest.raises(OrchError, match=r"/large to large: No space left on device$"):
        ssh.put(link, tmp_path / "large", "large")
    assert not (host.home / "large").exists()
    host.room = None
    ssh.put(link, tmp_path / "large", "large")
    assert (host.home / "large").stat().st_size == size


def test_a_file_that_cannot_be_read_here(link: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(b"x")

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(OrchError, match="/secret to x: Permission denied"):
        ssh.put(link, tmp_path / "secret", "x")


def test_what_is_not_there(link: Connection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        ssh.put(link, tmp_path / "none", "x")
    with pytest.raises(OrchError, match=r"cannot copy none to .*: No such file"):
        ssh.get(link, "none", tmp_path / "x")
    assert list(tmp_path.glob("*x*")) == []
    assert link.is_connected


@pytest.mark.parametrize("kind", ["pipe", "dangling"])
def test_what_is_no_file_in_a_folder_is_told(link: Connection, tmp_path: Path, kind: str) -> None:
    """A pipe there would be waited for without end."""
    folder = tmp_path / "f"
    folder.mkdir()
    os.mkfifo(folder / "pipe") if kind == "pipe" else (folder / "dangling").symlink_to("nowhere")
    with pytest.raises(OrchError, match=f"{kind}: neither a file nor a folder"):
        ssh.put(link, folder, "d")


def test_a_link_back_into_its_folder_ends(link: Connection, tmp_path: Path) -> None:
    """Three folders a round: our limit comes before the 40 links that the kernel follows."""
    inner = tmp_path / "f/a/b"
    inner.mkdir(parents=True)
    (inner / "again").symlink_to(tmp_path / "f")
    with pytest.raises(OrchError, match="nested deeper"):
        ssh.put(link, tmp_path / "f", "d")


# --- what arrives here ------------------------------------------------------------------------------------------------


def test_a_folder_here_that_is_missing(link: Connection, host: Host, tmp_path: Path) -> None:
    (host.home / "d").mkdir()
    (host.home / "f").touch()
    for source in ("d", "f"):
        with pytest.raises(OrchError, match=f"cannot copy {source} to .*/no/x: No such file or directory"):
            ssh.get(link, source, tmp_path / "no/x")
    assert link.is_connected


def test_a_full_disk_here(link: Connection, host: Host) -> None:
    (host.home / "f").write_bytes(bytes(1000))
    with pytest.raises(EnvError, match="cannot copy f to /dev/full: No space left on device"):
        ssh.get(link, "f", Path("/dev/full"))


def test_a_pipe_here_is_written_to(link: Connection, host: Host, tmp_path: Path) -> None:
    (host.home / "f").write_bytes(b"content")
    os.mkfifo(tmp_path / "pipe")
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    ssh.get(link, "f", tmp_path / "pipe")
    reader.join()
    assert seen == [b"content"]


def test_no_special_permissions(link: Connection, host: Host, tmp_path: Path) -> None:
    (host.home / "x").touch()
    (host.home / "x").chmod(0o6755)
    ssh.get(link, "x", tmp_path)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o755


@pytest.mark.parametrize("name", [b"../escaped", b"", b"/escaped", b"a/b", b"a\0b"])
def test_names_that_lead_elsewhere(link: Connection, host: Host, tmp_path: Path, name: bytes) -> None:
    made = paramiko.SFTPAttributes()
    made.filename = name
    host.false_names = lambda: [made]  # type: ignore[method-assign]
    (host.home / "d").mkdir()
    target = tmp_path / "here"
    with pytest.raises(OrchError, match="the machine names a file"):
        ssh.get(link, "d", target)
    assert sorted(tmp_path.glob("here*")) == [target]
    assert names(target) == []


def test_folders_without_end(link: Connection, host: Host, tmp_path: Path) -> None:
    host.home.joinpath(*["d"] * 70).mkdir(parents=True)
    with pytest.raises(OrchError, match="nested deeper"):
        ssh.get(link, "d", tmp_path / "here")


def test_a_server_that_talks_nonsense(link: Connection, host: Host, tmp_path: Path) -> None:
    ssh.put(link, Path(__file__), "x")
    host.sessions[0].sendall(b"\xff\xff\xff\xff nonsense")
    with pytest.raises(OrchError, match="does not speak SFTP as it should: Garbage packet received"):
        ssh.get(link, "x", tmp_path / "y")


# --- ends -------------------------------------------------------------------------------------------------------------


def test_a_machine_that_goes_away(link: Connection, host: Host, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(4 << 20))
    host.before_write = lambda offset, _: host.hang_up() if offset > 1 << 20 else None  # type: ignore[method-assign]
    with pytest.raises(ssh.LostError, match=r"^127\.0\.0\.1 no longer answers"):
        ssh.put(link, tmp_path / "large", "large")


def test_a_server_of_files_that_ends(link: Connection, host: Host, tmp_path: Path) -> None:
    """As the kernel of a full guest ends it; the connection is still there."""
    (tmp_path / "large").write_bytes(bytes(4 << 20))

    def end(offset: int, _: bytes) -> None:
        if offset > 1 << 20:
            host.before_write = lambda *_: None  # type: ignore[method-assign]
            host.sessions[-1].close()

    host.before_write = end  # type: ignore[method-assign]
    with pytest.raises(OrchError, match=r"/large to large: its SFTP server ended meanwhile$") as caught:
        ssh.put(link, tmp_path / "large", "large")
    assert type(caught.value) is OrchError
    assert not (host.home / "large").exists()
    ssh.put(link, tmp_path / "large", "large")
    assert (host.home / "large").stat().st_size == 4 << 20


@pytest.mark.parametrize("stage", ["before_channel", "before_command", "before_write"])
def test_a_copy_that_stands_still_has_an_end(link: Connection, host: Host, tmp_path: Path, stage: str) -> None:
    (tmp_path / "large").write_bytes(bytes(4 << 20))
    setattr(host, stage, lambda *_: host.silence())
    began = time.monotonic()
    with pytest.raises(ssh.StalledError, match=r"^copying stood still for 0\.5 s$"):
        ssh.put(link, tmp_path / "large", "/large", 0.5)
    assert 0.5 <= time.monotonic() - began < 10
    assert not link.is_connected


def test_a_slow_copy_that_moves_has_no_end(host: Host, tmp_path: Path) -> None:
    host.window = 32768  # of what is sent before it is taken
    (tmp_path / "slow").write_bytes(bytes(10 * 32768))
    host.before_write = lambda *_: time.sleep(0.2)  # type: ignore[method-assign]
    began = time.monotonic()
    with ssh.opened(host.server, 10) as link:
        ssh.put(link, tmp_path / "slow", "slow", 1)
    assert time.monotonic() - began > 1.5
    assert (host.home / "slow").stat().st_size == 10 * 32768


def test_who_is_interrupted_does_not_wait_for_answers(link: Connection, host: Host, tmp_path: Path) -> None:
    """A machine that is slow, or stands still, may give them never."""
    (tmp_path / "large").write_bytes(bytes(64 << 20))
    host.before_write = lambda *_: host.silence()  # type: ignore[method-assign]
    main, began = threading.main_thread().ident, time.monotonic()
    assert main is not None
    threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        ssh.put(link, tmp_path / "large", "large", 60)
    assert time.monotonic() - began < 5
    assert not link.is_connected
