# SPDX-License-Identifier: Apache-2.0
"""`make soak-kill`: VMM and emulator are killed at random moments; nothing may leak or hang, the next start works.

Progress is kept in a file: a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ORCH = Path(sys.executable).parent / "orch"
LATEST = 9.0  # s after the start of `orch up` that a kill comes at; a guest is ready by then
LIMIT = 300.0  # s for any command: whatever takes longer hangs
EVERY = 10  # kills between two starts that are let to their end
# In the host: whoever runs this guest. `rvmm wait` has the folder on its command line too, and is left alone.
KILL = """
for process in /proc/[0-9]*; do
    if tr '\\0' ' ' <$process/cmdline 2>/dev/null | grep -q '^/usr/bin/rvmm run .*/run/guest/{world} '; then
        kill -KILL ${{process#/proc/}} && echo killed
    fi
done
true
"""
# What the end of a guest that was killed looks like to `orch up`, and one that had not begun.
ENDED = (0, 4)


@dataclass
class Progress:
    """What has been done; `wrong` says what should not have been."""

    seed: int
    vmm: int = 0
    qemu: int = 0
    held: int = 0  # kills while the guest was there
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path, seed: int) -> Progress:
        """Go on from the file, if there is one."""
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else cls(seed)

    def save(self, path: Path) -> None:
        """Replace the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        scratch.replace(path)


class HangError(Exception):
    """A command did not come back."""


@dataclass
class Killer:
    """One testbed whose processes are killed."""

    file: Path
    progress: Progress

    def orch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the real command."""
        try:
            return subprocess.run(self._command(*arguments), capture_output=True, text=True, check=False, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise HangError(f"`orch {' '.join(arguments)}` took longer than {LIMIT:g} s") from None

    def _command(self, *arguments: str) -> list[str]:
        return [str(ORCH), "--testbed", str(self.file), *arguments]

    def must(self, *arguments: str) -> str:
        """Run a command that has to work; what it prints."""
        done = self.orch(*arguments)
        if done.returncode != 0:
            self.wrong(f"`orch {' '.join(arguments)}`: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def wrong(self, what: str) -> None:
        """Note and tell what should not be."""
        self.progress.wrong.append(what)
        print(f"wrong: {what}", flush=True)

    def status(self) -> dict[str, Any]:
        """`orch status --json`."""
        table: dict[str, Any] = json.loads(self.must("status", "--json"))
        return table

    def starting(self, *arguments: str) -> subprocess.Popen[str]:
        """`orch up` on its way."""
        return subprocess.Popen(
            self._command("up", *arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONFAULTHANDLER": "1"},
        )

    def finish(self, start: subprocess.Popen[str], codes: tuple[int, ...]) -> None:
        """Wait for an `orch up` whose machine or guest was killed; it has to say so and end."""
        try:
            _, said = start.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            start.send_signal(signal.SIGABRT)  # Python's fault handler tells where it is
            _, said = start.communicate()
            raise HangError(f"`orch up` does not notice that what it waits for is gone: {said.strip()}") from None
        if start.returncode not in codes or "Traceback" in said:
            self.wrong(f"`orch up` ended with exit code {start.returncode}: {said.strip()[-500:]}")

    # --- the VMM --------------------------------------------------------------------------------------------------

    def kill_vmm(self, moments: random.Random) -> None:
        """One kill of a VMM, a realm's three times out of four, at a random moment of its start or behind it."""
        world = moments.choice(("realm", "realm", "realm", "vm"))
        start = self.starting(f"--{world}", "--mem", "128")
        time.sleep(moments.uniform(0.5, LATEST))
        self.progress.held += "killed" in self.must("ssh", "host", "--", KILL.format(world=world))
        self.finish(start, ENDED)
        self.check_nothing_left(world)

    def check_nothing_left(self, world: str) -> None:
        """The guest is gone, and so is all that it held."""
        self.orch("down", world)  # waits for what the kernel still clears away; one killed late may run again
        guests = self.status()["guests"]
        if guests[world]["state"] in ("running", "ending"):
            self.wrong(f"{world}: still {guests[world]['state']} after it was killed")
        driver = guests["driver"]
        if driver.get("granules") or driver.get("leaked"):
            self.wrong(f"{world}: left behind: {driver}")
        if "there" in self.must("ssh", "host", "--", f"test ! -e /sys/class/net/tap-{world} || echo there"):
            self.wrong(f"{world}: its network interface is left behind")

    def check_start(self) -> None:
        """A realm and a VM start, answer and stop as ever."""
        self.must("up", "--realm", "--vm", "--mem", "128")
        for world in ("realm", "vm"):
            self.must("ssh", world, "--", "true")
            self.must("down", world)
            self.check_nothing_left(world)

    # --- the emulator ---------------------------------------------------------------------------------------------

    def kill_qemu(self, moments: random.Random) -> None:
        """One kill of the emulator at a random moment of the machine's start, a guest's start, or behind them."""
        start = self.starting("--realm", "--mem", "128", *(["--fresh"] if moments.random() < 0.5 else []))
        time.sleep(moments.uniform(0.3, LATEST + 3))
        now = self.status()
        pid = now["qemu_pid"]
        if pid:
            os.kill(pid, signal.SIGKILL)
            self.progress.held += 1
        self.finish(start, ENDED)
        self.must("down")
        after = self.status()
        if after["up"]:
            self.wrong("the machine is up after its emulator was killed and `orch down`")
        if pid and Path(f"/proc/{pid}").exists():
            self.wrong(f"the emulator, pid {pid}, is still there")

    # --- all of it ------------------------------------------------------------------------------------------------

    def run(self, vmm: int, qemu: int, path: Path) -> None:
        """As many kills of each as asked for, less those that were done before."""
        if self.progress.vmm < vmm:
            self.must("up")
        while self.progress.vmm < vmm:
            self.kill_vmm(random.Random(f"{self.progress.seed} vmm {self.progress.vmm}"))
            self.progress.vmm += 1
            if self.progress.vmm % EVERY == 0 or self.progress.vmm == vmm:
                self.check_start()
                print(f"{self.progress.vmm} kills of the VMM, {len(self.progress.wrong)} things wrong", flush=True)
            self.progress.save(path)
        self.must("down")
        while self.progress.qemu < qemu:
            self.kill_qemu(random.Random(f"{self.progress.seed} qemu {self.progress.qemu}"))
            self.progress.qemu += 1
            print(f"{self.progress.qemu} kills of the emulator, {len(self.progress.wrong)} things wrong", flush=True)
            self.progress.save(path)
        self.must("up")
        self.check_start()


def main() -> int:
    """Run in a state folder of its own, beside the progress file, so that a machine of the user is left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vmm", type=int, default=100, help="kills of the VMM [100]")
    parser.add_argument("--qemu", type=int, default=20, help="kills of the emulator [20]")
    parser.add_argument("--seed", type=int, default=4, help="of the moments [4]")
    parser.add_argument("--folder", type=Path, default=ROOT / "results/soak-kill", help="progress and state")
    parser.add_argument("--testbed", type=Path, default=ROOT / "testbed.yaml", help="testbed file [the checkout's]")
    options = parser.parse_args()
    path = options.folder.resolve() / "progress.json"
    os.environ["XDG_STATE_HOME"] = str(path.parent / "state")
    killer = Killer(options.testbed.resolve(), Progress.load(path, options.seed))
    try:
        killer.run(options.vmm, options.qemu, path)
    except HangError as hangs:
        killer.wrong(str(hangs))
    except KeyboardInterrupt:
        print("interrupted: the next run goes on from here")
    finally:
        killer.orch("down")
    done = killer.progress
    print(f"{done.vmm} kills of the VMM, {done.qemu} of the emulator, {done.held} hit; {len(done.wrong)} things wrong")
    if done.vmm >= options.vmm and done.qemu >= options.qemu:
        path.unlink(missing_ok=True)  # the next run begins anew
    return 1 if done.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
