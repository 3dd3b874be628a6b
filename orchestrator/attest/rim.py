# SPDX-License-Identifier: Apache-2.0
"""The Realm Initial Measurement, computed from how a realm is made (RMM specification DEN0137 1.0-rel0, A7.1); pure.

Nothing here knows our VMM or RMM: the steps are those of any host, the formulas those of the specification. The RIM
is a chain: a start value from the realm's attributes, then one link for each step that changes what it is made of.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from orchestrator.errors import AttestationError
from orchestrator.schema.population import Activate, Create, Data, Rec, Ripas, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = 4096  # bytes of a granule, and of the structures that are hashed (B4.4)
VALUE_BYTES = 64  # of the field that holds a measurement, whatever the algorithm (C1)
DATA_MEASURE = 1  # RmiDataFlags (B4.4)
REC_RUNNABLE = 1  # RmiRecCreateFlags (B4.4)
MEASUREMENTS = 5  # slots that RSI_MEASUREMENT_READ knows: the RIM and four REMs (A7.1)

# Offsets in RmiRealmParams and RmiRecParams (B4.4).
_PARAMS_FLAGS, _PARAMS_S2SZ, _PARAMS_SVE_VL = 0x00, 0x08, 0x10
_PARAMS_NUM_BPS, _PARAMS_NUM_WPS, _PARAMS_PMU, _PARAMS_HASH = 0x18, 0x20, 0x28, 0x30
_REC_FLAGS, _REC_PC, _REC_GPRS, _REC_NUM_GPRS = 0x000, 0x200, 0x300, 8
_DESCRIPTOR_BYTES = 0x100  # RmmMeasurementDescriptor* (C1)


class Algorithm(IntEnum):
    """RmiHashAlgorithm (B4.4), by the numbers of the ABI."""

    SHA_256 = 0
    SHA_512 = 1

    @property
    def label(self) -> str:
        """The name as in a realm's token: `sha-256`."""
        return self.name.lower().replace("_", "-")

    @property
    def size(self) -> int:
        """Bytes of a value."""
        return 32 if self is Algorithm.SHA_256 else 64

    def digest(self, data: bytes | memoryview) -> bytes:
        """Hash of `data`, not filled up."""
        return (hashlib.sha256 if self is Algorithm.SHA_256 else hashlib.sha512)(data).digest()


class _Descriptor(IntEnum):
    """Types of measurement descriptors (C1)."""

    DATA = 0
    REC = 1
    RIPAS = 2


class Rim:
    """The chain as the RMM carries it on; `field` is its 64-byte field, `value` what counts of it."""

    def __init__(
        self,
        *,
        s2sz: int,
        num_bps: int,
        num_wps: int,
        algorithm: Algorithm = Algorithm.SHA_256,
        flags: int = 0,
        sve_vl: int = 0,
        pmu_num_ctrs: int = 0,
    ) -> None:
        """REALM_CREATE (B4.3): the hash of an RmiRealmParams that holds these attributes and nothing else."""
        self.algorithm = algorithm
        params = bytearray(PAGE)
        struct.pack_into("<Q", params, _PARAMS_FLAGS, flags)
        params[_PARAMS_S2SZ], params[_PARAMS_SVE_VL] = s2sz, sve_vl
        params[_PARAMS_NUM_BPS], params[_PARAMS_NUM_WPS] = num_bps, num_wps
        params[_PARAMS_PMU], params[_PARAMS_HASH] = pmu_num_ctrs, algorithm
        self.field = self._hash(bytes(params))

    @property
    def value(self) -> bytes:
        """The measurement, as long as the algorithm makes it."""
        return self.field[: self.algorithm.size]

    def ripas(self, base: int, top: int) -> None:
        """RTT_INIT_RIPAS (B4.3) changed one entry, that of [base, top): RmmMeasurementDescriptorRipas (C1)."""
        self._extend(_Descriptor.RIPAS, struct.pack("<QQ", base, top))

    def data(self, ipa: int, flags: int, page: bytes | memoryview) -> None:
        """DATA_CREATE (B4.3) of one page, hashed only if the flags say so: RmmMeasurementDescriptorData (C1)."""
        if len(page) != PAGE:
            raise ValueError(f"a page has {PAGE} bytes, not {len(page)}")
        content = self._hash(page) if flags & DATA_MEASURE else bytes(VALUE_BYTES)
        self._extend(_Descriptor.DATA, struct.pack("<QQ", ipa, flags) + content)

    def rec(self, flags: int, pc: int, *gprs: int) -> None:
        """REC_CREATE (B4.3): RmmMeasurementDescriptorRec (C1) with the hash of an RmiRecParams of these fields alone.

        A REC that is not runnable is not measured.
        """
        if not flags & REC_RUNNABLE:
            return
        params = bytearray(PAGE)
        struct.pack_into("<Q", params, _REC_FLAGS, flags)
        struct.pack_into("<Q", params, _REC_PC, pc)
        struct.pack_into(f"<{_REC_NUM_GPRS}Q", params, _REC_GPRS, *gprs)
        self._extend(_Descriptor.REC, self._hash(bytes(params)))

    def _extend(self, kind: _Descriptor, content: bytes) -> None:
        """One link (A7.1): the hash of a descriptor that holds the value so far."""
        descriptor = struct.pack("<B7xQ", kind, _DESCRIPTOR_BYTES) + self.field + content
        self.field = self._hash(descriptor.ljust(_DESCRIPTOR_BYTES, b"\0"))

    def _hash(self, data: bytes | memoryview) -> bytes:
        return self.algorithm.digest(data).ljust(VALUE_BYTES, b"\0")


@dataclass(frozen=True)
class Measurements:
    """What RSI_MEASUREMENT_READ gives (A7.1): the initial measurement and those that the realm can extend."""

    algorithm: Algorithm
    rim: bytes
    rems: tuple[bytes, ...]

    @classmethod
    def initial(cls, rim: Rim) -> Measurements:
        """Those of a realm that has not extended any: REMs start as zeros (B4.3 REALM_CREATE)."""
        return cls(rim.algorithm, rim.value, (bytes(rim.algorithm.size),) * (MEASUREMENTS - 1))

    def as_table(self) -> dict[str, str | list[str]]:
        """JSON-able, values in hexadecimal."""
        return {"algorithm": self.algorithm.label, "rim": self.rim.hex(), "rems": [rem.hex() for rem in self.rems]}


def replay(steps: Sequence[Step], sources: Mapping[str, memoryview]) -> Measurements:
    """The RIM of a realm that is made by these steps; `sources` has by name what the description does not carry itself.

    Raises AttestationError for steps that no host could take in this order, and for bytes that are not as described.
    """
    if not steps or not isinstance(steps[0], Create):
        raise AttestationError("description of the realm: it does not begin with its creation")
    if not isinstance(steps[-1], Activate):
        raise AttestationError("description of the realm: it does not end with its activation")
    rim = _created(steps[0])
    recs = 0
    for step in steps[1:-1]:
        if isinstance(step, Ripas):
            _replay_ripas(rim, step)
        elif isinstance(step, Data):
            _replay_data(rim, step, sources)
        elif isinstance(step, Rec):
            if step.index != recs:
                raise AttestationError(f"description of the realm: REC {step.index} where REC {recs} is due")
            recs += 1
            rim.rec(step.flags, step.pc, *step.gprs)
        else:
            raise AttestationError(f"description of the realm: '{step.step}' in the middle of it")
    return Measurements.initial(rim)


def _created(step: Create) -> Rim:
    try:
        algorithm = Algorithm(step.hash_algo)
    except ValueError:
        raise AttestationError(f"description of the realm: unknown hash algorithm {step.hash_algo}") from None
    return Rim(s2sz=step.ipa_bits, num_bps=step.num_bps, num_wps=step.num_wps, algorithm=algorithm)


def _replay_ripas(rim: Rim, step: Ripas) -> None:
    """One link for each entry of the tables (B4.3 RTT_INIT_RIPAS)."""
    if step.base >= step.top or step.base % step.entry_bytes or step.top % step.entry_bytes:
        raise AttestationError(
            f"description of the realm: [{step.base:#x}, {step.top:#x}) is not made of entries of {step.entry_bytes:#x}"
        )
    for base in range(step.base, step.top, step.entry_bytes):
        rim.ripas(base, base + step.entry_bytes)


def _replay_data(rim: Rim, step: Data, sources: Mapping[str, memoryview]) -> None:
    if step.ipa % PAGE:
        raise AttestationError(f"description of the realm: data at {step.ipa:#x}, which is no page's address")
    view = memoryview(step.content) if step.content is not None else sources.get(step.source)
    if view is None:
        raise AttestationError(f"description of the realm: no bytes for its '{step.source}'")
    if len(view) != step.bytes:
        raise AttestationError(f"{step.source}: it has {len(view)} bytes, its description says {step.bytes}")
    for offset in range(0, len(view), PAGE):
        page = view[offset : offset + PAGE]
        whole = page if len(page) == PAGE else bytes(page).ljust(PAGE, b"\0")
        rim.data(step.ipa + offset, step.flags, whole)
