# SPDX-License-Identifier: Apache-2.0
"""What the key service does not do, with the reason; one class for all, so that nothing is released by accident."""

from __future__ import annotations

from orchestrator.errors import AttestationError

MALFORMED, UNATTESTED, FORBIDDEN, ABSENT, TOO_LARGE, TOO_MANY = 400, 401, 403, 404, 413, 429


class RefusedError(AttestationError):
    """A request that is refused; `status` is HTTP's."""

    def __init__(self, message: str, status: int = FORBIDDEN) -> None:
        super().__init__(message)
        self.status = status
