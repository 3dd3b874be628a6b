# SPDX-License-Identifier: Apache-2.0
"""What verification came to: three legs, then claim by claim; each holds, fails, or has no verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from orchestrator.attest.known import PublicTestKey


class State(StrEnum):
    """Of a leg or a claim. There is nothing between right and wrong but not to know."""

    HOLDS = "holds"
    FAILS = "fails"
    NONE = "no verdict"


@dataclass(frozen=True)
class Finding:
    """One leg or claim: `found` is what the token has, `words` why that is so, in a line."""

    name: str
    state: State
    words: str
    found: str | None = None

    def as_table(self) -> dict[str, str]:
        """JSON-able."""
        table = {"name": self.name, "state": str(self.state), "why": self.words}
        return table if self.found is None else table | {"found": self.found}


@dataclass(frozen=True)
class UsedTestKey:
    """A key that everybody knows, and what it was used for in this token."""

    role: str
    key: PublicTestKey

    @property
    def words(self) -> str:
        """What that means, in a line."""
        return f"the {self.role} key is {self.key.name}, a public test value ({self.key.source})"


@dataclass(frozen=True)
class Verdict:
    """The whole; `reasons` say why it is refused, and are empty if it is not.

    `wrapper` is the tag of what the tokens came in. `surplus` are claims that no profile has: they are signed, and
    nothing is made of them.
    """

    policy: str
    wrapper: int
    platform_profile: str
    realm_profile: str
    legs: tuple[Finding, ...]
    claims: tuple[Finding, ...]
    test_keys: tuple[UsedTestKey, ...]
    surplus: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """Whether nothing is wrong with it, and nothing that the policy requires is without a verdict."""
        return not self.reasons

    @property
    def without_verdict(self) -> tuple[str, ...]:
        """Claims on which nobody has said what is right."""
        return tuple(each.name for each in self.claims if each.state is State.NONE)

    def claim(self, name: str) -> Finding:
        """The finding on a claim; raises KeyError for one that the token does not have."""
        return next((each for each in self.claims if each.name == name), None) or _missing(name)

    def as_table(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "accepted": self.accepted,
            "reasons": list(self.reasons),
            "policy": self.policy,
            "wrapper": self.wrapper,
            "profiles": {"platform": self.platform_profile, "realm": self.realm_profile},
            "legs": [each.as_table() for each in self.legs],
            "claims": [each.as_table() for each in self.claims],
            "without_verdict": list(self.without_verdict),
            "test_keys": [
                {"role": each.role, "name": each.key.name, "source": each.key.source} for each in self.test_keys
            ],
            "surplus_claims": list(self.surplus),
        }


def _missing(name: str) -> Finding:
    raise KeyError(name)
