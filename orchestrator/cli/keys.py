# SPDX-License-Identifier: Apache-2.0
"""`orch keys`: a key service, and what its owner and its users tell it."""

from __future__ import annotations

import json
import resource
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.errors import EnvError, UsageError
from orchestrator.files import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.service.client import Party
    from orchestrator.service.home import Home

_PATH = click.Path(path_type=Path)
_DAY = 86_400
_MODEL_KEY_BYTES = 32


@click.group("keys")
@click.option("--state", type=_PATH, metavar="FOLDER", help="state of the service [in the user's data folder]")
@click.option("--keys", "keys_folder", type=_PATH, metavar="FOLDER", help="keys [in the user's configuration folder]")
@click.option("--database", metavar="URL", help="state in a database: postgresql+psycopg://…")
@click.option("--service", "address", metavar="URL", default="http://127.0.0.1:8480", help="where the service is")
@click.pass_context
def keys(
    context: click.Context, *, state: Path | None, keys_folder: Path | None, database: str | None, address: str
) -> None:
    """Keep the keys of models, and release them to realms that owner and user have both named."""
    from orchestrator.service import home  # noqa: PLC0415 - `orch --help` should not load the service

    context.ensure_object(dict)
    folders = home.Home(state or home.default_state(), keys_folder or home.default_keys(), database)
    context.meta["orch.keys"] = (folders, address)


def _home() -> Home:
    home: Home = click.get_current_context().meta["orch.keys"][0]
    return home


def _party(name: str) -> Party:
    """Whoever has that key, speaking with the service."""
    import httpx2  # noqa: PLC0415

    from orchestrator.service.client import Party  # noqa: PLC0415

    home, address = click.get_current_context().meta["orch.keys"]
    http = httpx2.Client(base_url=address, timeout=30.0, trust_env=False)
    return Party(http, home.service(), home.identity(name), notice=home.noticing())


def _as(default: str) -> Callable[[Any], Any]:
    return click.option("--as", "who", default=default, show_default=True, metavar="NAME|FILE", help="whose key signs")


@keys.command("init")
@click.option("--identity", metavar="NAME", help="no service: another identity only, such as a user's on his computer")
def init(*, identity: str | None) -> None:
    """Make a service, and test identities: an owner with a recovery key, and a user."""
    home = _home()
    if identity is not None:
        from orchestrator.service import jose  # noqa: PLC0415

        name = jose.identity(home.new_identity(identity))
        click.echo(
            f"{name} {home.identity_file(identity)}; hand out {home.identity_file(identity).with_suffix('.pub.jwk')}"
        )
        return
    store = home.make()
    click.echo(f"service {store.id}")
    for name in ("owner", "owner-recovery", "user"):
        click.echo(f"{name:15} {home.identity_file(name)}")
    click.echo(f"{'opens the state':15} {home.seal_key}")
    click.echo("keep the recovery key, and a copy of the one that opens the state, in another place")


@keys.command("serve")
@click.option("--port", type=click.IntRange(0, 65535), default=8480, show_default=True)
@click.option("--host", "address", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option("--policy", "policy_file", type=_PATH, metavar="FILE", help="for tokens [that of the emulator]")
def serve(*, port: int, address: str, policy_file: Path | None) -> None:
    """Serve until interrupted."""
    import uvicorn  # noqa: PLC0415

    from orchestrator.attest.policies import read_policy  # noqa: PLC0415
    from orchestrator.service.http import application  # noqa: PLC0415

    home = _home()
    policy = read_policy(policy_file)
    with home.alone() if home.database is None else _nothing():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would have the keys
        store = home.open()
        config = uvicorn.Config(
            application(store, policy),
            log_level="warning",
            access_log=False,
            limit_concurrency=256,
            timeout_keep_alive=15,
            h11_max_incomplete_event_size=16_384,
            proxy_headers=False,
            server_header=False,
        )
        with _listening(address, port) as listener:
            click.echo(f"service {store.id} on http://{address}:{listener.getsockname()[1]}; policy {policy.name}")
            uvicorn.Server(config).run(sockets=[listener])


def _listening(address: str, port: int) -> socket.socket:
    """Here and not by the server, which would end the process where the port is taken; 0 is any port that is free."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family, backlog=256)
    except OSError as error:
        raise EnvError(f"{address}, port {port}: cannot be listened on: {error.strerror}", hint="--port N") from None


def _nothing() -> Any:
    from contextlib import nullcontext  # noqa: PLC0415

    return nullcontext()


@keys.command("grant")
@click.option("--model", required=True, metavar="NAME")
@click.option("--rim", required=True, metavar="HEX", help="measurement of the realm, as `orch measure` prints it")
@click.option("--user", metavar="FILE", help="the user's public key [of the user that `init` made]")
@click.option("--owner", metavar="FILE", help="as a user: the owner's public key [of the owner that `init` made]")
@click.option("--days", type=click.FloatRange(min=0), default=30.0, show_default=True, help="until it expires")
@click.option("--quota", type=click.IntRange(min=1), metavar="N", help="inferences in all [no limit]")
@click.option("--lease", type=click.IntRange(min=1), default=1000, show_default=True, help="inferences of one release")
@click.option("--min-version", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--request-key", type=_PATH, metavar="FILE", help="as a user: the key of your requests, hexadecimal")
@_as("owner")
def grant(*, who: str, model: str, rim: str, days: float, **terms: Any) -> None:
    """Consent: an owner to a user and a realm, a user (--as user) to a realm. Both must have named the realm's RIM."""
    from orchestrator.service import jose  # noqa: PLC0415

    party = _party(who)
    said: dict[str, Any] = {"model": model, "rim": rim, "expires": int(time.time() + days * _DAY)}
    if _is_owner(party):
        said |= {"op": "grant", "user": _public(terms["user"] or "user"), "lease": terms["lease"]}
        said |= {"quota": terms["quota"], "min_version": terms["min_version"]}
    else:
        said |= {"op": "consent", "owner": _owner_id(party, terms["owner"], model)}
        if terms["request_key"] is not None:
            key = _hex_file(terms["request_key"])
            said["request_key"] = jose.seal(key, party.service.encryption)
    click.echo(party.state(**said)["id"])


def _is_owner(party: Party) -> bool:
    return party.state(op="list")["owner"] is not None


def _owner_id(party: Party, file: str | None, model: str) -> str:
    """The owner whose model that is: one that is named, or the one who has granted it."""
    from orchestrator.service import jose  # noqa: PLC0415

    if file is not None:
        return jose.identity(jose.read_public(_public(file)))
    owners = {each["owner"] for each in party.state(op="list")["grants"] if each["model"] == model}
    if len(owners) != 1:
        raise UsageError(f"{len(owners)} owners have granted a model {model} to this user", hint="--owner FILE")
    return str(owners.pop())


def _public(name: str) -> dict[str, str]:
    """The public key in a file, which may have the private one as well."""
    from orchestrator.service import jose  # noqa: PLC0415

    path = _home().identity_file(name)
    path = path if path.exists() else path.with_suffix(".pub.jwk")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return jose.public(jose.read_public(table))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (ValueError, TypeError):
        raise UsageError(f"{path}: no key (JWK)") from None


def _hex_file(path: Path) -> bytes:
    from orchestrator.service.sealing import read_private  # noqa: PLC0415

    try:
        return bytes.fromhex(read_private(path))
    except ValueError:
        raise UsageError(f"{path}: expected hexadecimal digits") from None


@keys.command("revoke")
@click.argument("identifier", metavar="ID")
@_as("owner")
def revoke(*, identifier: str, who: str) -> None:
    """Take a grant back (--as user: a consent); ID is what `grant` printed, and `list` prints."""
    _party(who).state(op="revoke", id=identifier)
    click.echo(f"revoked {identifier}")


@keys.command("rotate")
@click.argument("model", required=False)
@click.option("--key", "key_file", type=_PATH, metavar="FILE", help="the new key, hexadecimal; made if it is not there")
@click.option("--production", is_flag=True, help="never for realms that public test keys vouch for")
@click.option("--sealing", is_flag=True, help="another key that opens the state; it may not be served meanwhile")
@click.option("--lost-owner", is_flag=True, help="with the recovery key: another key for the owner; her grants end")
@_as("owner")
def rotate(
    *, model: str | None, key_file: Path | None, production: bool, sealing: bool, lost_owner: bool, who: str
) -> None:
    """Give MODEL its next key (or its first), the state another key that opens it, or the owner a new one."""
    if (model is not None) + sealing + lost_owner != 1 or (model is not None) != (key_file is not None):
        raise UsageError("name one: MODEL with --key FILE, --sealing, or --lost-owner")
    if sealing:
        with _home().alone():
            _home().reseal()
        click.echo(
            f"the state opens with {_home().seal_key}; copies of it from before, with the key they were made with"
        )
    elif lost_owner:
        _replace_owner()
    else:
        assert model is not None and key_file is not None  # noqa: S101, PT018
        _next_key(_party(who), model, key_file, production=production)


def _next_key(party: Party, model: str, key_file: Path, *, production: bool) -> None:
    import secrets  # noqa: PLC0415

    from orchestrator.service.sealing import write_private  # noqa: PLC0415

    if not key_file.exists():
        write_private(key_file, secrets.token_hex(_MODEL_KEY_BYTES) + "\n")
    known = [each["version"] for each in party.state(op="list")["models"] if each["model"] == model]
    version = max(known, default=0) + 1
    party.put_key(model, version, _hex_file(key_file), production=production)
    click.echo(f"{model}: version {version}, key in {key_file}")


def _replace_owner() -> None:
    """New keys first: if the service does not answer, nothing has changed but that they are there."""
    from orchestrator.service import jose  # noqa: PLC0415

    home, party = _home(), _party("owner-recovery")
    names = ("owner-new", "owner-recovery-new")
    for name in names:
        if not home.identity_file(name).exists():
            home.new_identity(name)
    key, recovery = (jose.public(home.identity(name)) for name in names)
    answer = party.state(op="replace-owner", key=key, recovery=recovery)
    for name in names:
        old, new = home.identity_file(name), home.identity_file(name.removesuffix("-new"))
        settle(old, new, durable=True)
        settle(old.with_suffix(".pub.jwk"), new.with_suffix(".pub.jwk"), durable=True)
    click.echo(f"the owner's key is {answer['key']}; {answer['grants_ended']} grants have ended")


@keys.command("list")
@_as("owner")
@click.option("--json", "as_json", is_flag=True, help="machine-readable")
def list_(*, who: str, as_json: bool) -> None:
    """Models, grants and consents of whoever asks."""
    found = _party(who).state(op="list")
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for each in found["models"]:
        kind = "production" if each["production"] else "test"
        click.echo(f"model    {each['model']} version {each['version']} ({kind})")
    for kind in ("grants", "consents"):
        for each in found[kind]:
            click.echo(f"{kind[:-1]:8} {each['id']} {_terms(each)}")
    click.echo(f"audit log ends with {found['head']}")


def _terms(each: dict[str, Any]) -> str:
    until = time.strftime("%Y-%m-%d", time.gmtime(each["expires"]))
    quota = f", {each['used']} of {each['quota']} inferences" if each.get("quota") else ""
    state = "revoked" if each["revoked"] is not None else f"until {until}"
    return f"{each['model']} to {each['user'][:8]}, RIM {each['rim'][:16]}, {state}{quota}"


@keys.command("audit")
@click.option(
    "--verify", "file", type=_PATH, metavar="FILE", help="verify a log that was written down; needs no service"
)
@click.option("--head", "kept", metavar="SEQ:HASH", help="an end of the log that was seen before")
@click.option("--out", type=_PATH, metavar="FILE", help="write the log down")
@_as("owner")
def audit(*, file: Path | None, kept: str | None, out: Path | None, who: str) -> None:
    """Fetch the audit log and verify it: signatures, order, nothing missing. Exit code 5 if it is not whole."""
    from orchestrator.service.audit import verify  # noqa: PLC0415

    if file is not None:
        try:
            lines = file.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: cannot be read: {error}") from None
        service = _home().service()
    else:
        party = _party(who)
        lines, service = party.state(op="audit")["entries"], party.service
    entries = verify(lines, service.signing, _head(kept))
    if out is not None:
        out.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    for entry in entries:
        facts = ", ".join(f"{name} {_brief(value)}" for name, value in entry["facts"].items() if value is not None)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry["time"]))
        click.echo(f"{entry['seq']:5} {stamp} {entry['event']}: {facts}")
    click.echo(f"{len(entries)} entries, whole")


def _head(text: str | None) -> Any:
    from orchestrator.service.audit import Head  # noqa: PLC0415

    if text is None:
        return None
    head = Head.from_text(text)
    if head is None:
        raise UsageError(f"--head {text}: expected SEQ:HASH")
    return head


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 24 else f"{text[:16]}…"


@keys.command("backup")
@click.argument("file", type=_PATH)
def backup(*, file: Path) -> None:
    """Copy the state into FILE, sealed; the service may be running."""
    from orchestrator.files import replace_file  # noqa: PLC0415
    from orchestrator.service.backup import backup as copy  # noqa: PLC0415
    from orchestrator.service.sealing import read_seal_key  # noqa: PLC0415

    home = _home()
    replace_file(file, copy(home.open(), read_seal_key(home.seal_key)), durable=True, mode=0o600)
    click.echo(f"{file}: opens with {home.seal_key}")


@keys.command("restore")
@click.argument("file", type=_PATH)
@click.option("--older", is_flag=True, help="also if that takes back what was stated since, revocations as well")
def restore(*, file: Path, older: bool) -> None:
    """Put the copy in FILE in the place of the state; nobody may be serving it."""
    from orchestrator.service.backup import restore as put_back  # noqa: PLC0415
    from orchestrator.service.sealing import read_seal_key  # noqa: PLC0415

    home = _home()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise EnvError(f"{file}: cannot be read: {error.strerror}") from None
    home.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with home.alone():
        head = put_back(data, home.file, read_seal_key(home.seal_key), older=older)
        home.remember(head)
    click.echo(f"restored; the audit log ends with {head.as_text()}")


COMMANDS = (keys,)
