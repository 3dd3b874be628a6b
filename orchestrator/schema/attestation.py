# SPDX-License-Identifier: Apache-2.0
"""The policy that a token is held against: which keys may vouch for a platform, and which values are right."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from orchestrator.schema.yamlfile import Strict

KnownKey = Literal["tf-a-qemu-platform"]
Profile = Literal["legacy", "2023", "2024", "2026"]
Algorithm = Literal["sha-256", "sha-384", "sha-512"]
Lifecycle = Literal[
    "unknown",
    "assembly and test",
    "provisioning",
    "secured",
    "non-platform debug",
    "recoverable debug",
    "decommissioned",
]
RequiredClaim = Literal[
    "challenge",
    "rim",
    "rem 0",
    "rem 1",
    "rem 2",
    "rem 3",
    "rpv",
    "realm hash algorithm",
    "mec policy",
    "realm profile",
    "platform profile",
    "implementation id",
    "instance id",
    "lifecycle",
    "config",
    "software components",
]
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def _digits(value: Any) -> Any:
    """YAML takes digits without quotes for a number, and a few letters among them for another one."""
    if not isinstance(value, str):
        raise ValueError("expected hexadecimal digits, in quotes")  # noqa: TRY004 - pydantic wants it so
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError("expected hexadecimal digits, two for each byte") from None


def _sized(*sizes: int) -> AfterValidator:
    def check(value: bytes) -> bytes:
        if len(value) not in sizes:
            raise ValueError(f"expected {' or '.join(str(each) for each in sizes)} bytes, found {len(value)}")
        return value

    return AfterValidator(check)


def _public_key(value: str) -> str:
    try:
        key = load_pem_public_key(value.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("expected a public key in PEM, from '-----BEGIN PUBLIC KEY-----' on") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise ValueError("expected a key on P-256, P-384 or P-521")
    return value


Hex = Annotated[bytes, BeforeValidator(_digits)]
Hash = Annotated[Hex, _sized(32, 48, 64)]
Values = Annotated[list[Hex], Field(min_length=1)]
Hashes = Annotated[list[Hash], Field(min_length=1)]


class PlatformKey(Strict):
    """A key that may vouch for a platform: one that everybody knows, or one of a maker."""

    known: KnownKey | None = Field(default=None, description="a public test value, by its name")
    name: str | None = Field(default=None, min_length=1, pattern=r"^[^\n]*$", description="what verdicts call a `pem`")
    pem: Annotated[str, AfterValidator(_public_key)] | None = Field(default=None, description="the public key")
    implementation_id: Annotated[Hex, _sized(32)] | None = Field(
        default=None, description="the only implementation that it vouches for"
    )
    instance_id: Annotated[Hex, _sized(33)] | None = Field(
        default=None, description="the only instance that it vouches for"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        """Either a known one, or a name with a key."""
        if (self.known is None) == (self.pem is None) or (self.pem is None) != (self.name is None):
            raise ValueError("expected either 'known', or 'name' and 'pem'")
        return self


class Component(Strict):
    """What a software component has to be; `measurement` lists all that are right."""

    type: str
    measurement: Hashes
    signer: Hashes | None = Field(default=None, description="hashes of the keys that may have signed it")
    version: Annotated[list[str], Field(min_length=1)] | None = None


class PlatformPolicy(Strict):
    """What is asked of the platform; a key that is not there gives no verdict on its claim."""

    keys: list[PlatformKey] = Field(default_factory=list, description="whose signatures count")
    profiles: Annotated[list[Profile], Field(min_length=1)] | None = None
    implementation_id: Annotated[list[Annotated[Hex, _sized(32)]], Field(min_length=1)] | None = None
    instance_id: Annotated[list[Annotated[Hex, _sized(33)]], Field(min_length=1)] | None = None
    lifecycle: Annotated[list[Lifecycle], Field(min_length=1)] | None = None
    config: Values | None = None
    components: list[Component] | None = None


class RealmPolicy(Strict):
    """What is asked of the realm; a key that is not there gives no verdict on its claim."""

    profiles: Annotated[list[Profile], Field(min_length=1)] | None = None
    algorithm: Annotated[list[Algorithm], Field(min_length=1)] | None = None
    rim: Hashes | None = Field(default=None, description="initial measurements that are right")
    rem: Annotated[list[Hash | None], Field(min_length=4, max_length=4)] | None = Field(
        default=None, description="the four extensible measurements; null: any"
    )
    rpv: Annotated[list[Annotated[Hex, _sized(64)]], Field(min_length=1)] | None = None
    mec_policy: Annotated[list[Literal["shared", "private"]], Field(min_length=1)] | None = None


class AttestationPolicy(Strict):
    """The whole of a policy file."""

    name: str = Field(min_length=1, pattern=r"^[^\n]*$", description="what verdicts call it")
    test_keys: Literal["refused", "allowed"] = Field(
        default="refused", description="whether a key that everybody knows may vouch for anything"
    )
    required: list[RequiredClaim] = Field(
        default=["challenge", "rim"], description="claims for which no verdict is a refusal"
    )
    platform: PlatformPolicy = PlatformPolicy()
    realm: RealmPolicy = RealmPolicy()
