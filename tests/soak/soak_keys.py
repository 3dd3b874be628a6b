# SPDX-License-Identifier: Apache-2.0
"""`make soak-keys`: many clients of two replicas of the key service on PostgreSQL, of which one is killed at random.

Nothing may be released against what owner and user have stated, no grant and no lease may be lost or counted twice, and
the audit log must be whole. All of it is on this computer: PostgreSQL on a socket, the replicas on loopback.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from cca_vectors import PLATFORM_KEY, RIM, Vector, pem
from postgres import server

from orchestrator.errors import EnvError
from orchestrator.service import audit, jose
from orchestrator.service.client import Party, Realm
from orchestrator.service.home import Home
from orchestrator.service.refusal import RefusedError

AT_ONCE = 16
PATIENCE = 120.0  # s that a client goes on trying
QUOTA, LEASE, DAY = 1000, 7, 86_400
OTHER_RIM = b"\x99" * 32
POLICY = "name: soak\nrequired: []\nplatform:\n  keys:\n    - name: ours\n      pem: |\n"


@dataclass
class Replica:
    """One of them, which can be killed and comes back."""

    argv: list[str]
    address: str = ""
    process: subprocess.Popen[str] | None = None
    kills: int = 0

    def start(self) -> None:
        self.process = subprocess.Popen(self.argv, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.search(r"http://\S+:\d+", self.process.stdout.readline())
        assert found
        self.address = found[0]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.kills += 1


@dataclass
class Scene:
    home: Home
    replicas: list[Replica]
    rng: random.Random
    outcomes: Counter[str] = field(default_factory=Counter)
    leases: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, job: Any) -> Any:
        """What a job gives with a replica that answers; one that is away is another one's turn."""
        end = time.monotonic() + PATIENCE
        while True:
            address = self.rng.choice(self.replicas).address
            with httpx2.Client(base_url=address, trust_env=False, timeout=20.0) as http:
                try:
                    return job(http)
                except (EnvError, RefusedError) as error:
                    passing = isinstance(error, EnvError) or error.status in (429, 500, 503)
                    if not passing or time.monotonic() > end:
                        raise
            time.sleep(0.05)

    def client(self, number: int) -> None:
        """Every fourth realm is another one than owner and user have named."""
        rim = OTHER_RIM if number % 4 == 3 else RIM
        owner, user = (jose.identity(self.home.identity(name)) for name in ("owner", "user"))

        def job(http: httpx2.Client) -> Any:
            realm = Realm(http, self.home.service(), lambda challenge: token(challenge, rim))
            return realm.key(owner, "model", user)

        try:
            answer = self.ask(job)
        except RefusedError as error:
            with self.lock:
                self.outcomes[error.message[:60]] += 1
            return
        with self.lock:
            self.outcomes["released to " + ("the right realm" if rim == RIM else "ANOTHER REALM")] += 1
            self.leases.append(answer["lease"])

    def state(self, who: str, **said: Any) -> dict[str, Any]:
        """A statement that is sent until it is answered: sent again, it was carried out before."""
        party = Party(httpx2.Client(), self.home.service(), self.home.identity(who))
        text = party.signed(**said)
        try:
            found: dict[str, Any] = self.ask(lambda http: Party(http, party.service, party.key).send(text))
        except RefusedError as error:
            if "carried out before" not in error.message:
                raise
            return {"id": jose.unverified(text)["jti"]}
        return found


def token(challenge: bytes, rim: bytes) -> bytes:
    return Vector(realm={10: challenge, 44238: rim}).bytes()


def killing(scene: Scene, kills: int, over: threading.Event) -> None:
    """One of two at a time, at random moments; the other goes on."""
    while not over.wait(scene.rng.uniform(0.0, 0.5)):
        victim = scene.rng.choice(scene.replicas)
        if sum(each.kills for each in scene.replicas) < kills:
            victim.kill()
            over.wait(scene.rng.uniform(0.0, 0.5))
            victim.start()


def check(scene: Scene, grants: set[str]) -> None:
    listed = scene.state("owner", op="list")
    entries = audit.verify(scene.state("owner", op="audit")["entries"], scene.home.service().signing)
    released = [each["facts"] for each in entries if each["event"] == "released"]
    used = {each["id"]: each["used"] for each in listed["grants"]}
    assert set(used) == grants, "a grant is lost, or there is one that nobody made"
    assert all(each["rim"] == RIM.hex() for each in released), "released to a realm that nobody named"
    for grant, count in used.items():
        debited = sum(each["lease"] for each in released if each["grant"] == grant)
        assert debited == count <= QUOTA, f"grant {grant}: {count} used, {debited} in the log"
    told = Counter(each["lease"] for each in released)
    assert not Counter(scene.leases) - told, "a realm has a lease that the log does not know"
    print(f"{len(entries)} entries, whole; {len(released)} releases, {len(scene.leases)} of them arrived")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="orch-soak-") as text, server() as url:
        folder = Path(text)
        home = Home(folder / "state", folder / "keys", url)
        home.make()
        policy = folder / "policy.yaml"
        policy.write_text(POLICY + "".join(f"        {line}\n" for line in pem(PLATFORM_KEY).splitlines()))
        where = ["--state", str(home.state), "--keys", str(home.keys), "--database", url]
        serve = ["serve", "--port", "0", "--policy", str(policy)]
        argv = [str(Path(sys.executable).parent / "orch"), "keys", *where, *serve]
        scene = Scene(home, [Replica(argv) for _ in range(2)], random.Random(options.seed))
        try:
            soak(scene, options.clients, options.kills)
        finally:
            for each in scene.replicas:
                if each.process is not None:
                    each.kill()


def soak(scene: Scene, clients: int, kills: int) -> None:
    for each in scene.replicas:
        each.start()
    sealed = jose.seal(os.urandom(32), scene.home.service().encryption)
    scene.state("owner", op="put-key", model="model", version=1, key=sealed, production=False)
    user = jose.public(scene.home.identity("user"))
    terms = {"model": "model", "rim": RIM.hex(), "expires": int(time.time()) + DAY}
    grants: set[str] = set()

    def grant() -> str:
        return str(scene.state("owner", op="grant", user=user, quota=QUOTA, lease=LEASE, **terms)["id"])

    grants |= {grant(), grant()}
    owner = jose.identity(scene.home.identity("owner"))
    scene.state("user", op="consent", owner=owner, **terms)
    over = threading.Event()
    killer = threading.Thread(target=killing, args=(scene, kills, over))
    killer.start()
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(scene.client, number) for number in range(clients)]
        for _ in range(10):
            grants.add(grant())
            time.sleep(0.2)
        for job in jobs:
            job.result()
        while sum(each.kills for each in scene.replicas) < kills:  # until all of them have met somebody
            list(pool.map(scene.client, range(clients, clients + AT_ONCE)))
            clients += AT_ONCE
    over.set()
    killer.join()
    seconds = time.monotonic() - began
    print(f"{clients} clients in {seconds:.0f} s, {sum(each.kills for each in scene.replicas)} kills")
    for words, count in sorted(scene.outcomes.items()):
        print(f"  {count:5} {words}")
    check(scene, grants)


if __name__ == "__main__":
    main()
