# SPDX-License-Identifier: Apache-2.0
"""Control `plain-channel`: a model that is sent to a realm in plain text is found in the host, realm or not."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import paramiko

from orchestrator.errors import OrchError
from orchestrator.privacy.attack import AttackMetric, LiveAttack, Once, Role, Victim, When
from orchestrator.privacy.blocks import Blocks, choose_blocks, union
from orchestrator.privacy.host import attacker
from orchestrator.privacy.memory_scan import STEP_LIMIT, scratch
from orchestrator.shell import ssh
from orchestrator.testbed.guest import GuestName
from orchestrator.words import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fabric import Connection

    from orchestrator.privacy.answers import Scan
    from orchestrator.privacy.rows import About
    from orchestrator.schema.samples import PrivacyRow
    from orchestrator.testbed.testbed import Testbed

PLAIN = "plain-channel"
_PORT = 7077
_TARGET = "/tmp/plain-channel"  # noqa: S108 - in the guest
_LISTENING = 30.0  # s for the receiver to listen
_RETRY = 0.05
_TRANSFER = 300.0  # s


def run_plain_channel(
    testbed: Testbed, world: str, model: Path, *, work: Path, seed: int, about: About, limit: float = STEP_LIMIT
) -> list[PrivacyRow]:
    """Send the model to a guest over plain TCP, through the host, and search the host for it.

    What is left of it in the host stays there: nothing else can be searched for this model in this boot.
    """
    data = model.read_bytes()
    blocks = choose_blocks(data, seed)
    with scratch(work) as folder, attacker(testbed, limit) as host:
        needles = folder / "needles"
        needles.write_bytes(blocks.needles)
        with testbed.world(world).link() as guest:
            _send(data, host.link, guest, world)
            scan = host.scan(needles, host.vmm(world))
            ssh.capture(guest, f"rm {_TARGET}")
    return plain_rows(about, blocks, scan)


def _send(data: bytes, host: Connection, guest: Connection, world: str) -> None:
    """From this computer to the host inside SSH, as its gateway, and from there to the guest as it is."""
    receive = f"timeout {_TRANSFER:.0f} nc -l -p {_PORT} </dev/null >{_TARGET} && wc -c <{_TARGET}"
    with ThreadPoolExecutor(1) as pool:
        receiver = pool.submit(ssh.attempt, guest, receive, _TRANSFER + 5)
        try:
            channel = _connect(host, world, receiver.done)
            channel.settimeout(_TRANSFER)
            channel.sendall(data)
            channel.close()
        except ssh.LOST as error:
            raise OrchError(f"plain-channel: sending to the {world}: {str(error) or type(error).__name__}") from None
        done = receiver.result()
    if done.stdout.strip() != str(len(data)):
        raise OrchError(f"plain-channel: of {len(data)} bytes {done.stdout.strip() or 'none'} arrived: {done.words}")


def _connect(host: Connection, world: str, ended: Callable[[], bool]) -> paramiko.Channel:
    """A connection from the host to the receiver, as soon as that listens."""
    name = GuestName.parse(world)
    if name is None:
        raise OrchError(f"plain-channel: '{world}' is no guest")
    deadline = time.monotonic() + _LISTENING
    while True:
        try:
            target, source = (name.address, _PORT), ("127.0.0.1", 0)
            transport: paramiko.Transport = host.client.get_transport()
            return transport.open_channel("direct-tcpip", target, source, timeout=_LISTENING)
        except paramiko.ChannelException as error:
            if ended() or time.monotonic() > deadline:
                raise OrchError(f"plain-channel: nobody listens in the {world}: {error}") from None
            time.sleep(_RETRY)


def plain_rows(about: About, blocks: Blocks, scan: Scan) -> list[PrivacyRow]:
    """How much of a model that was sent in plain text is found in the host: a control of the search."""
    total = union((region.blocks for region in scan.regions.values()), blocks.count)
    note = "the model sent to the guest over plain TCP through the host, in place of SSH"
    parts = (("blocks_recovered", total), *((f"blocks_in_{name}", each.found) for name, each in scan.regions.items()))
    return [about.fraction(PLAIN, metric, found, blocks.count, note=note) for metric, found in parts]


def _run(victim: Victim) -> list[PrivacyRow]:
    return run_plain_channel(
        victim.testbed,
        victim.world,
        victim.model,
        work=victim.work,
        seed=victim.seed,
        about=victim.about,
        limit=victim.limit,
    )


_BLOCKS = "blocks looked for"
RECORD = LiveAttack(
    name=PLAIN,
    summary="control: a model that is sent to the realm in plain text is found in the host",
    metrics=(
        AttackMetric(
            "blocks_recovered",
            "fraction of the blocks of a model sent in the clear that the host finds anywhere",
            _BLOCKS,
            main=True,
            role=Role.CONTROL,
        ),
        AttackMetric("blocks_in_ram", "the same in all normal memory", _BLOCKS, role=Role.CONTROL),
        AttackMetric("blocks_in_vmm", "the same in the memory of the realm's VMM", _BLOCKS, role=Role.CONTROL),
        AttackMetric("blocks_in_files", "the same in files and disks", _BLOCKS, role=Role.CONTROL),
    ),
    worlds=(World.REALM,),  # a normal VM has nothing that it would have to get around
    when=When.GUEST,  # it leaves the model in the host's memory, where each search for it would find it
    once=Once.MODEL,
    run=_run,
)
