# SPDX-License-Identifier: Apache-2.0
"""`orch attest`: a running realm's token, or any token from a file, verified leg by leg and claim by claim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from orchestrator.cli.context import Context, pass_context
from orchestrator.cli.guest import WorldName, to_guest
from orchestrator.errors import AttestationError, UsageError

if TYPE_CHECKING:
    from orchestrator.attest.verdict import Verdict

_POLICY = click.option(
    "--policy", "policy_file", type=click.Path(path_type=Path), metavar="FILE", help="policy [that of the emulator]"
)
_JSON = click.option("--json", "as_json", is_flag=True, help="machine-readable")
_SHOWN = 24  # hexadecimal digits of a value, in a line


@click.group("attest", invoke_without_command=True)
@click.option("--realm", "name", type=WorldName(host=False), default="realm", metavar="REALM", help="which [realm]")
@_POLICY
@click.option("--save", is_flag=True, help="keep token and verdict in the testbed's state folder")
@_JSON
@click.pass_context
def attest(click_context: click.Context, *, name: str, policy_file: Path | None, save: bool, as_json: bool) -> None:
    """Attest a running realm: its token must be fresh, and have the measurement that the artifacts give.

    Exit code 5, with the reasons, if the token is refused.
    """
    if click_context.invoked_subcommand is not None:
        if policy_file or save or as_json or name != "realm":
            raise UsageError(f"options of `orch attest {click_context.invoked_subcommand}` stand behind it")
        return
    context = click_context.find_object(Context) or Context()
    from orchestrator.attest.policies import read_policy  # noqa: PLC0415 - `orch --help` should not load cryptography
    from orchestrator.shell.ssh import fingerprint  # noqa: PLC0415
    from orchestrator.testbed.attestation import attest as attest_realm  # noqa: PLC0415

    policy, testbed, realm = read_policy(policy_file), context.testbed, to_guest(name)
    with testbed.host() as gateway:
        testbed.guests.need_running(gateway, realm)
        attested = attest_realm(testbed, realm, policy, gateway)
    saved = attested.save(testbed.state / "attestation") if save else None
    table = attested.as_table() | ({"file": str(saved)} if saved else {})
    if not as_json:
        click.echo(f"host key {fingerprint(attested.answer.host_key)}, which the challenge is made of")
    _show(attested.verdict, table, as_json=as_json)
    if saved and not as_json:
        click.echo(f"kept in {saved}")
    attested.insist()
    if attested.answer.host_key != testbed.guests.record.guest(realm).get("host_key"):
        raise AttestationError(f"the {name} has proved another host key than the one that SSH goes by")


@attest.command("verify")
@click.argument("file", type=click.File("rb"))
@_POLICY
@click.option("--challenge", metavar="HEX", help="what the token was asked for with, 32 to 64 bytes")
@_JSON
@pass_context
def verify(
    _context: Context, *, file: IO[bytes], policy_file: Path | None, challenge: str | None, as_json: bool
) -> None:
    """Verify the token in FILE (- for standard input), of this machine or another; needs no testbed."""
    from orchestrator.attest.appraise import References  # noqa: PLC0415
    from orchestrator.attest.cbor import MAX_BYTES  # noqa: PLC0415
    from orchestrator.attest.policies import read_policy  # noqa: PLC0415
    from orchestrator.attest.verify import verify as verify_token  # noqa: PLC0415

    policy = read_policy(policy_file)
    references = References(challenge=None if challenge is None else _bytes(challenge))
    data = file.read(MAX_BYTES + 1)
    try:
        verdict = verify_token(data, policy, references)
    except AttestationError as error:
        if as_json:
            click.echo(json.dumps({"accepted": False, "reasons": [error.message]}, indent=1))
        raise AttestationError(f"{file.name}: {error.message}", hint=error.hint) from None
    _show(verdict, verdict.as_table(), as_json=as_json)
    _refuse(verdict, file.name)


def _bytes(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise UsageError(f"--challenge {digits}: expected hexadecimal digits, two for each byte") from None


def _refuse(verdict: Verdict, what: str) -> None:
    """Raise the error that a refused token is."""
    if not verdict.accepted:
        raise AttestationError(f"{what} is refused: {'; '.join(verdict.reasons)}")


def _show(verdict: Verdict, table: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(table, indent=1))
        return
    profiles = f"platform {verdict.platform_profile}, realm {verdict.realm_profile}"
    click.echo(f"wrapper {verdict.wrapper}; profiles: {profiles}; policy: {verdict.policy}")
    for each in (*verdict.legs, *verdict.claims):
        click.echo(f"{each.name:22} {each.state:10} {_short(each.found)}{each.words}")
    if verdict.surplus:
        click.echo(f"claims that no profile has: {', '.join(verdict.surplus)}")
    for used in verdict.test_keys:
        click.echo(f"test key: {used.words}")
    if verdict.test_keys:
        click.echo("firmware and monitor are not attested: whoever runs a host can make such a token")
    if verdict.accepted:
        missing = ", ".join(verdict.without_verdict)
        click.echo("accepted" + (f"; no verdict on {missing}" if missing else ""))


def _short(found: str | None) -> str:
    if found is None:
        return ""
    return f"{found}: " if len(found) <= _SHOWN else f"{found[:_SHOWN]}…: "


COMMANDS = (attest,)
