# SPDX-License-Identifier: Apache-2.0
"""Signed and sealed messages (JWS, JWE: RFC 7515, 7516), each for one use, with the algorithms that we use only."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from orchestrator.service.refusal import MALFORMED, RefusedError

STATEMENT, ANSWER, SESSION, AUDIT, DELETION = (
    f"orch-{name}+jws" for name in ("statement", "answer", "session", "audit", "deletion")
)
"""Types of signed messages: one that was signed for one use serves no other."""
KEY_AGREEMENT, ENCRYPTION = "ECDH-ES+A256KW", "A256GCM"
_SIGNATURES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_PUBLIC = ("kty", "crv", "x", "y")


def make_key() -> ECKey:
    """A new private key, on P-384."""
    return ECKey.generate_key("P-384")


def public(key: ECKey) -> dict[str, str]:
    """The public half, as a JWK with nothing else in it."""
    whole: dict[str, Any] = dict(key.as_dict(private=False))
    return {name: str(whole[name]) for name in _PUBLIC}


def read_public(jwk: dict[str, Any]) -> ECKey:
    """A public key; raises RefusedError for one that is not on its curve, or none at all."""
    try:
        key = ECKey.import_key({name: jwk[name] for name in _PUBLIC})
        key.as_dict(private=False)
        if key.curve_name not in _SIGNATURES:
            raise RefusedError("a key on a curve that is not used here", MALFORMED)
        key.thumbprint()
        _ = key.public_key
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"no public key: {_line(error)}", MALFORMED) from None
    return key


def identity(key: ECKey) -> str:
    """What a key's holder is called: the SHA-256 thumbprint of the key (RFC 7638)."""
    return str(key.thumbprint())


def sign(payload: dict[str, Any], key: ECKey, kind: str) -> str:
    """Signed by `key`, for one use."""
    algorithm = _SIGNATURES[str(key.curve_name)]
    header = {"alg": algorithm, "kid": identity(key), "typ": kind}
    return jws.serialize_compact(header, canonical(payload), key, algorithms=[algorithm])


def signer(text: str) -> str:
    """Who a message says has signed it; raises RefusedError. Nothing is checked by that."""
    try:
        kid = jws.extract_compact(text.encode("ascii")).headers().get("kid")
    except (JoseError, ValueError, binascii.Error) as error:
        raise RefusedError(f"no signed message: {_line(error)}", MALFORMED) from None
    if not isinstance(kid, str):
        raise RefusedError("a signed message that does not say whose it is", MALFORMED)
    return kid


def unverified(text: str) -> dict[str, Any]:
    """What a message says, whoever has signed it; raises RefusedError."""
    parts = text.split(".")
    payload = strict_json(to_bytes(parts[1])) if len(parts) == 3 else None
    if not isinstance(payload, dict):
        raise RefusedError("no signed message", MALFORMED)
    return payload


def checked(text: str, key: ECKey, kind: str) -> dict[str, Any]:
    """What a message says, if `key` has signed it for that use; raises RefusedError."""
    algorithm = _SIGNATURES[str(key.curve_name)]
    try:
        message = jws.deserialize_compact(text.encode("ascii"), key, algorithms=[algorithm])
        header = message.headers()
    except (JoseError, ValueError, binascii.Error) as error:
        raise RefusedError(f"the signature does not hold: {_line(error)}") from None
    if header.get("typ") != kind or header.get("kid") != identity(key):
        raise RefusedError(f"signed for another use than {kind}, or by another key than it says")
    payload = strict_json(message.payload)
    if not isinstance(payload, dict):
        raise RefusedError("a signed message that says nothing", MALFORMED)
    return payload


def seal(plain: bytes, key: ECKey) -> dict[str, str]:
    """Sealed to the holder of a key, as a flattened JWE whose whole header is authenticated."""
    header = {"alg": KEY_AGREEMENT, "enc": ENCRYPTION}
    compact = jwe.encrypt_compact(header, plain, key, algorithms=[KEY_AGREEMENT, ENCRYPTION])
    return dict(zip(("protected", "encrypted_key", "iv", "ciphertext", "tag"), compact.split("."), strict=True))


def unseal(sealed: dict[str, str], key: ECKey) -> bytes:
    """What was sealed to `key`; raises RefusedError."""
    try:
        compact = ".".join(sealed[name] for name in ("protected", "encrypted_key", "iv", "ciphertext", "tag"))
        opened = jwe.decrypt_compact(compact.encode("ascii"), key, algorithms=[KEY_AGREEMENT, ENCRYPTION])
    except Exception:  # what the library raises depends on what is wrong, and nobody is to learn that
        raise RefusedError("what is sealed does not open with this key", MALFORMED) from None
    plain = opened.plaintext
    if plain is None:
        raise RefusedError("what is sealed does not open with this key", MALFORMED)
    return plain


def canonical(data: Any) -> bytes:
    """JSON in one form (RFC 8785, for data without fractions): keys sorted, no space."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def strict_json(data: bytes) -> Any:
    """JSON with whole numbers and characters, in which no key is there twice; raises RefusedError."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in found}) != len(found):
            raise ValueError("a key that is there twice")
        return dict(found)

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no number")

    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=refuse, parse_float=refuse)
        canonical(found)  # which halves of a character do not have
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"no valid JSON: {_line(error)}", MALFORMED) from None
    return found


def to_text(data: bytes) -> str:
    """Bytes as JSON has them here: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def to_bytes(text: str) -> bytes:
    """The other way; raises RefusedError."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise RefusedError("no base64url", MALFORMED) from None
    if to_text(data) != text:
        raise RefusedError("base64url that is not in its one form", MALFORMED)
    return data


def _line(error: BaseException) -> str:
    return ascii(" ".join(str(error).split())[:120])[1:-1] or type(error).__name__
