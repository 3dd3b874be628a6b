# SPDX-License-Identifier: Apache-2.0
"""Where a key service's files are: the state in one folder, the key that opens it and the parties' keys in another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from orchestrator.errors import EnvError
from orchestrator.files import replace_file, settle
from orchestrator.service import audit, jose
from orchestrator.service.audit import Head
from orchestrator.service.backup import url_of
from orchestrator.service.client import Known
from orchestrator.service.refusal import RefusedError
from orchestrator.service.sealing import make_seal_key, read_private, read_seal_key, write_private
from orchestrator.service.store import Store, create, open_store, reseal

OWNER, RECOVERY, USER = "owner", "owner-recovery", "user"
PORT = 8480


def default_state() -> Path:
    """Where the state is unless somebody says otherwise."""
    return platformdirs.user_data_path("orch") / "keys"


def default_keys() -> Path:
    """Where the keys are: never beside the state."""
    return platformdirs.user_config_path("orch") / "keys"


@dataclass(frozen=True)
class Home:
    """The two folders; `database` is the URL of a database elsewhere, if the state is in one."""

    state: Path
    keys: Path
    database: str | None = None

    @property
    def file(self) -> Path:
        """The database, if it is a file."""
        return self.state / "state.db"

    @property
    def url(self) -> str:
        """The database."""
        return self.database or url_of(self.file)

    @property
    def seal_key(self) -> Path:
        """The key that opens the state."""
        return self.keys / "seal.key"

    def identity_file(self, name: str) -> Path:
        """The private key of a party, by name; a name with a slash or a suffix is a file."""
        return Path(name) if "/" in name or name.endswith(".jwk") else self.keys / f"{name}.jwk"

    def identity(self, name: str) -> ECKey:
        """Raises EnvError for a file that is none, or that others can read."""
        path = self.identity_file(name)
        try:
            key = ECKey.import_key(json.loads(read_private(path)))
        except (JoseError, ValueError, TypeError):
            raise EnvError(f"{path}: no key (JWK)") from None
        if not key.is_private:
            raise EnvError(f"{path}: it is the public half of a key only")
        return key

    def new_identity(self, name: str) -> ECKey:
        """A new key in a file of its own, and its public half beside it for others; raises EnvError if there is one."""
        key, path = jose.make_key(), self.identity_file(name)
        write_private(path, json.dumps(key.as_dict(private=True)) + "\n")
        replace_file(path.with_suffix(".pub.jwk"), json.dumps(jose.public(key)) + "\n")
        return key

    def service(self) -> Known:
        """The public keys of the service that was made here; raises EnvError if none was."""
        path = self.keys / "service.json"
        try:
            table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise EnvError(f"{path}: no key service is known here", hint="`orch keys init`") from None
        return Known.parse(table)

    def make(self) -> Store:
        """A new service with an owner, her recovery key and a user; raises EnvError if there is one already."""
        if self.database is None and self.file.exists():
            raise EnvError(f"{self.file}: there is a key service already")
        if self.state.resolve() == self.keys.resolve():
            raise EnvError(f"{self.keys}: the key that opens the state may not be beside it")
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        seal_key = make_seal_key(self.seal_key)
        owner, recovery = (jose.public(self.new_identity(name)) for name in (OWNER, RECOVERY))
        self.new_identity(USER)
        store = create(self.url, seal_key, {OWNER: (owner, recovery)})
        if self.database is None:
            self.file.chmod(0o600)
        replace_file(self.keys / "service.json", json.dumps(store.public(), indent=1) + "\n")
        return store

    @property
    def head(self) -> Head | None:
        """The furthest end of the audit log that was seen, kept away from the state."""
        try:
            return Head.from_text((self.keys / "head").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def noticing(self) -> Callable[[str], None]:
        """Keeps ends of the log that answers have; raises RefusedError for one before what was seen by now.

        What other commands see meanwhile does not count: answers may overtake each other.
        """
        seen = self.head

        def notice(text: str) -> None:
            new = Head.from_text(text)
            if new is None:
                raise RefusedError("an answer without an end of the audit log")
            if seen is not None and (new.seq < seen.seq or (new.seq == seen.seq and new.hash != seen.hash)):
                words = f"the service's log ends with entry {new.seq}, and {seen.seq} were seen before"
                raise RefusedError(f"{words}: an older state was put back")
            latest = self.head
            if latest is None or new.seq > latest.seq:
                self.remember(new)

        return notice

    def remember(self, head: Head) -> None:
        """Keep an end of the log, whatever was seen before."""
        replace_file(self.keys / "head", head.as_text() + "\n")

    def open(self) -> Store:
        """The service that is here; raises RefusedError if its log has not what was seen of it."""
        store, seen = self._opened(), self.head
        if seen is None:
            return store
        with store.reading() as connection:
            line = audit.line(connection, seen.seq)
        if line is None or audit.line_hash(line) != seen.hash:
            raise RefusedError(
                f"the state's log has not the entry {seen.seq} that was seen: an older state was put back"
            )
        return store

    def _opened(self) -> Store:
        """A change of the key that opens the state, which was cut short, is finished first."""
        new = self.seal_key.with_suffix(".new")
        if new.exists():
            try:
                store = open_store(self.url, read_seal_key(new))
            except EnvError:
                new.unlink()  # it was never used
            else:
                settle(new, self.seal_key, durable=True)
                return store
        return open_store(self.url, read_seal_key(self.seal_key))

    def reseal(self) -> None:
        """Another key that opens the state; the old one opens nothing afterwards, but copies that were made before."""
        store, old = self.open(), read_seal_key(self.seal_key)
        new = self.seal_key.with_suffix(".new")
        reseal(store, old, make_seal_key(new))
        kept = self.seal_key.with_suffix(f".{store.keyring.newest}")
        settle(self.seal_key, kept, durable=True)
        settle(new, self.seal_key, durable=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else serves this state, or puts another in its place; raises EnvError if somebody does."""
        lock = FileLock(self.state / "lock")
        try:
            with lock.acquire(timeout=0):
                yield
        except Timeout:
            raise EnvError(f"{self.state}: it is being served", hint="end that first") from None
