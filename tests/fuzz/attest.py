# SPDX-License-Identifier: Apache-2.0
"""Tokens, policy files and messages that anybody could send, against what reads them: `make fuzz-attest`.

Inputs are kept that reach lines no other has reached, and changed again. Three things are wrong: an error of another
kind than the one that is promised, an accepted token that is not one of those we signed, and one that takes too long.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import cca_vectors as vectors
import httpx2

from orchestrator.attest.appraise import References
from orchestrator.attest.policies import EMULATOR
from orchestrator.attest.token import parse
from orchestrator.attest.verify import verify
from orchestrator.errors import AttestationError, UsageError
from orchestrator.schema.attestation import AttestationPolicy
from orchestrator.schema.keys import AttestationRequest, AuthRequest, Deletion, Sealed
from orchestrator.schema.yamlfile import loads
from orchestrator.service import jose
from orchestrator.service.client import Known, Realm
from orchestrator.service.messages import read
from orchestrator.service.refusal import RefusedError
from orchestrator.service.statements import parse as parse_statement

SLOW = 2.0  # s of the processor for one input
LONGEST = 8192
TRACED = (
    "orchestrator/attest/",
    "orchestrator/service/",
    "orchestrator/schema/attestation",
    "orchestrator/schema/yaml",
)
CBOR_WORDS = [
    bytes.fromhex(each) for each in ("d9018f", "d9038b", "d284", "a0", "bf", "ff", "5f", "1b" + "f" * 16, "fb")
]
YAML_WORDS = (
    b"? [1]: 2\n|? {a: 1}: 2\n|&a |*a|<<: *a\n|!!str |!!set |!!python/name:os |!!binary |null|~|1e10|0x1f|2026-13-45|"
    b".inf|{}|[]|[[[[|{{{{|: |- |  |\n|# |\t|\0|\x11|---\n|...\n|%YAML 9\n|'|\"|\\x|\xff|realm:\n  rem: [null]\n|"
    b"platform:\n  components: [{type: x}]\n|required: [rim, 1]\n|known: x\n"
).split(b"|")
JSON_WORDS = (
    b'null|true|1e5|1.5|-0|NaN|"|\\u0000|\\ud800|[]|{}|[[[[[[|{"a":{"a":|,|:|\xff|\xc3|==|.|"op":"list"|'
    b"99999999999999999999"
).split(b"|")
POLICY = AttestationPolicy.model_validate(
    {
        "name": "fuzz",
        "required": [],
        "platform": {"keys": [{"name": "ours", "pem": vectors.pem(vectors.PLATFORM_KEY)}]},
    }
)


class Wrong(Exception):  # noqa: N818
    """What the verifier must not do."""


@dataclass
class Target:
    """What is tried with each input; `signed` are the contents that may be accepted."""

    name: str
    seeds: list[bytes]
    words: list[bytes]
    attempt: Callable[[bytes], None]


def signed_parts(data: bytes) -> tuple[bytes, bytes]:
    token = parse(data)
    return token.platform.signed.payload, token.realm.signed.payload


def token_target() -> Target:
    seeds = [vectors.Vector(*pair).bytes() for pair in vectors.PAIRS]
    genuine = {part for seed in seeds for part in signed_parts(seed)}

    def attempt(data: bytes) -> None:
        try:
            verdict = verify(data, POLICY, References(vectors.CHALLENGE))
        except AttestationError as error:
            if "\n" in error.message or not error.message.isprintable():
                raise Wrong(f"an error that is not one line: {error.message!r}") from None
            return
        if verdict.accepted and not set(signed_parts(data)) <= genuine:
            raise Wrong("a token is accepted that was never signed")

    return Target("token", seeds, CBOR_WORDS, attempt)


def policy_target() -> Target:
    shown = Path(__file__).resolve().parents[2] / "docs/attestation-policy.yaml"

    def attempt(data: bytes) -> None:
        try:
            loads(data.decode("utf-8", "replace"), "policy.yaml", AttestationPolicy)
        except UsageError:
            return

    return Target("policy", [EMULATOR.read_bytes(), shown.read_bytes(), b"name: x\n"], YAML_WORDS, attempt)


def message_target() -> Target:
    """What realms, owners and users send to the key service, before and behind the signatures."""
    key = jose.make_key()
    realm = Realm(httpx2.Client(), Known("", key, key), lambda challenge: challenge)
    sealed = jose.seal(b"k" * 32, key)
    about = {"aud": "A" * 43, "iat": 1, "exp": 2, "jti": "j" * 32}
    terms = {"model": "m", "rim": "0" * 64, "expires": 3}
    token = {"primary_evidence": {"token": "AA"}, "additional_evidence": ""}
    seeds = [
        {"version": "0.4.0", "tee": "cca", "extra-params": {}},
        {"runtime-data": realm.runtime_data("A" * 43), "tee-evidence": token},
        about | {"op": "put-key", "model": "m", "version": 1, "key": sealed, "production": False},
        about | terms | {"op": "grant", "user": jose.public(key), "rem": [None, None, None, "0" * 64], "quota": 3},
        about | terms | {"op": "consent", "owner": "A" * 43, "request_key": sealed},
        about | {"op": "revoke", "id": "j" * 32},
        about | {"op": "replace-owner", "key": jose.public(key), "recovery": jose.public(key)},
        {"nonce": "A" * 43, "owner": "A" * 43, "model": "m", "version": 1, "inferences": 3},
        {"signed": jose.sign({"a": 1}, key, jose.STATEMENT)},
    ]

    def attempt(data: bytes) -> None:
        for read_it in (_read_message, _read_signed(key), _read_sealed(key)):
            try:
                read_it(data)
            except RefusedError as error:
                if not error.message.isprintable():
                    raise Wrong(f"an error that is not one line: {error.message!r}") from None

    return Target("message", [jose.canonical(each) for each in seeds], JSON_WORDS, attempt)


def _read_message(data: bytes) -> None:
    found = jose.strict_json(data)
    if jose.canonical(found) != jose.canonical(jose.strict_json(jose.canonical(found))):
        raise Wrong("a message that has two canonical forms")
    for model in (AuthRequest, AttestationRequest, Deletion):
        try:
            request = read(model, found)
        except RefusedError:
            continue
        if isinstance(request, AttestationRequest):
            jose.read_public(request.runtime_data.tee_pubkey.model_dump())
    parse_statement(found)


def _read_signed(key: Any) -> Callable[[bytes], None]:
    def attempt(data: bytes) -> None:
        text = data.decode("ascii", "replace").removeprefix('{"signed":"').removesuffix('"}')
        jose.signer(text)
        jose.unverified(text)
        jose.checked(text, key, jose.STATEMENT)

    return attempt


def _read_sealed(key: Any) -> Callable[[bytes], None]:
    def attempt(data: bytes) -> None:
        found = jose.strict_json(data)
        inner = found.get("key", found.get("request_key")) if isinstance(found, dict) else None
        jose.unseal(read(Sealed, inner).model_dump(), key)

    return attempt


def changed(data: bytes, corpus: list[bytes], words: list[bytes], draw: random.Random) -> bytes:
    """One to four changes: bits, bytes, words, pieces taken out, doubled, or taken from another input."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(out) + 1)
        end = min(len(out), at + draw.choice((1, 1, 2, 4, 16, 97)))
        kind = draw.randrange(7)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << draw.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = draw.choice((0, 1, 0x17, 0x18, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        elif kind == 2:
            del out[at:end]
        elif kind == 3:
            out[at:at] = out[at:end]
        elif kind == 4:
            out[at:at] = draw.choice(words)
        elif kind == 5:
            other = draw.choice(corpus)
            begin = draw.randrange(len(other) + 1)
            out[at:end] = other[begin : begin + draw.randrange(64)]
        elif at + 1 < len(out):
            out[at : at + 2] = draw.randbytes(2)
    return bytes(out[:LONGEST])


@dataclass
class Lines:
    """Lines of the verifier that were ever executed."""

    seen: set[tuple[str, int]] = field(default_factory=set)
    fresh: bool = False

    def trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        name = frame.f_code.co_filename
        return self.line if any(each in name for each in TRACED) else None

    def line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        place = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and place not in self.seen:
            self.seen.add(place)
            self.fresh = True
        return self.line


def tried(target: Target, data: bytes, lines: Lines, crashes: Path) -> bool:
    """Whether an input has reached something new; one that is wrong is kept, and ends it all."""
    lines.fresh = False
    began = time.process_time()
    sys.settrace(lines.trace)
    try:
        target.attempt(data)
    except Exception:
        sys.settrace(None)
        keep(target, data, crashes)
        raise
    finally:
        sys.settrace(None)
    if time.process_time() - began > SLOW and (seconds := alone(target, data)) > SLOW:
        keep(target, data, crashes)
        raise Wrong(f"{len(data)} bytes take {seconds:.1f} s")
    return lines.fresh


def alone(target: Target, data: bytes) -> float:
    """Seconds of this process for one input that nobody watches."""
    began = time.process_time()
    target.attempt(data)
    return time.process_time() - began


def keep(target: Target, data: bytes, crashes: Path) -> None:
    crashes.mkdir(parents=True, exist_ok=True)
    path = crashes / f"{target.name}-{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    print(f"wrong; the input is in {path}, and `--replay {path}` tries it again", flush=True)


def kept(folder: Path) -> Iterator[bytes]:
    yield from (path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file())


def fuzz(target: Target, seconds: float, seed: int, folder: Path) -> None:
    draw, lines, corpus, count = random.Random(seed), Lines(), list[bytes](), 0
    place = folder / f"corpus-{target.name}"
    place.mkdir(parents=True, exist_ok=True)
    for data in [*target.seeds, *kept(place)]:
        tried(target, data, lines, folder / "wrong")
        corpus.append(data)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = changed(draw.choice(corpus), corpus, target.words, draw)
        count += 1
        if tried(target, data, lines, folder / "wrong"):
            corpus.append(data)
            (place / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    print(f"{target.name}: {count} inputs, {len(lines.seen)} lines reached, {len(corpus)} inputs in the corpus: clean")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(".fuzz/attest"))
    parser.add_argument("--replay", type=Path, help="one input, with its traceback; the name says which target")
    options = parser.parse_args()
    for target in (token_target(), policy_target(), message_target()):
        if options.replay is None:
            fuzz(target, options.seconds, options.seed, options.folder)
        elif options.replay.name.startswith(target.name):
            target.attempt(options.replay.read_bytes())


if __name__ == "__main__":
    main()
