# SPDX-License-Identifier: Apache-2.0
"""Messages of the key service: those of realms, as the key broker protocol has them; statements of owners and users.

The former are of confidential-containers/trustee, kbs_attestation_protocol.md (request, challenge, attestation,
response). What owners and users state is signed by them; its fields are what they have agreed to.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from orchestrator.schema.yamlfile import Strict

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Thumbprint = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
Base64Url = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")]
Measurement = Annotated[str, Field(pattern=r"^([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$")]
Count = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]
Time = Annotated[int, Field(ge=0, le=2**40, strict=True, description="seconds since 1970")]


class Message(Strict):
    """Base: names with a hyphen are aliases."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False, strict=True)


class PublicKey(Message):
    """An elliptic-curve JWK (RFC 7517) and nothing else."""

    kty: Literal["EC"]
    crv: Literal["P-256", "P-384", "P-521"]
    x: Base64Url
    y: Base64Url


class TeePublicKey(PublicKey):
    """The key that answers are sealed to."""

    alg: Literal["ECDH-ES+A256KW"]


class Sealed(Message):
    """A flattened JWE (RFC 7516, 7.2.2)."""

    protected: Base64Url
    encrypted_key: Base64Url
    iv: Base64Url
    ciphertext: Base64Url
    tag: Base64Url


# --- realms -----------------------------------------------------------------------------------------------------------


class AuthRequest(Message):
    """POST /kbs/v0/auth."""

    version: Annotated[str, Field(pattern=r"^0\.\d{1,3}\.\d{1,3}$")]
    tee: Literal["cca"]
    extra_params: Any = Field(default=None, alias="extra-params")


class RuntimeData(Message):
    """What the token's challenge holds the SHA-512 of, as canonical JSON."""

    nonce: Base64Url
    tee_pubkey: TeePublicKey = Field(alias="tee-pubkey")
    signing_pubkey: PublicKey | None = Field(
        default=None, alias="signing-pubkey", description="what the realm signs its deletion with"
    )


class CcaEvidence(Message):
    """The token, in base64url."""

    token: Base64Url


class TeeEvidence(Message):
    """Evidence of the realm; there are no further devices."""

    primary_evidence: CcaEvidence
    additional_evidence: Literal["", "{}"] = ""


class AttestationRequest(Message):
    """POST /kbs/v0/attest."""

    runtime_data: RuntimeData = Field(alias="runtime-data")
    tee_evidence: TeeEvidence = Field(alias="tee-evidence")


class Deletion(Message):
    """What a realm signs when it has wiped a model and its key."""

    nonce: Base64Url
    owner: Thumbprint
    model: Name
    version: Positive
    inferences: Count


# --- owners and users -------------------------------------------------------------------------------------------------


class Statement(Message):
    """What all of them have: `aud` is the service that is meant, `jti` makes it one that is carried out once."""

    aud: Thumbprint
    iat: Time
    exp: Time
    jti: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22,64}$")]


class PutKey(Statement):
    """An owner deposits the next version of a model's key, sealed to the service."""

    op: Literal["put-key"]
    model: Name
    version: Positive
    key: Sealed
    production: bool = Field(description="never for a realm that test keys vouch for")


class Grant(Statement):
    """An owner's consent: this user may have this model in realms of this measurement."""

    op: Literal["grant"]
    model: Name
    user: PublicKey
    rim: Measurement
    rpv: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")] | None = None
    rem: Annotated[list[Measurement | None], Field(min_length=4, max_length=4)] | None = None
    min_version: Positive = 1
    not_before: Time | None = None
    expires: Time
    quota: Positive | None = Field(default=None, description="inferences in all; None: no limit")
    lease: Positive = Field(default=1000, description="inferences that one release is good for at most")


class Consent(Statement):
    """A user's consent: realms of this measurement may have his requests for this model."""

    op: Literal["consent"]
    owner: Thumbprint
    model: Name
    rim: Measurement
    expires: Time
    request_key: Sealed | None = Field(default=None, description="key of his requests, sealed to the service")


class Revoke(Statement):
    """Whoever gave a consent takes it back."""

    op: Literal["revoke"]
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22,64}$", description="of the grant or consent: its jti")]


class ReplaceOwner(Statement):
    """Signed with an owner's recovery key: another key takes the place of the lost one, and all grants end."""

    op: Literal["replace-owner"]
    key: PublicKey
    recovery: PublicKey


class Ask(Statement):
    """Reading: what the service has of whoever signs, or its audit log (owners)."""

    op: Literal["list", "audit"]


AnyStatement = PutKey | Grant | Consent | Revoke | ReplaceOwner | Ask
STATEMENT: TypeAdapter[AnyStatement] = TypeAdapter(Annotated[AnyStatement, Field(discriminator="op")])
