# SPDX-License-Identifier: Apache-2.0
"""One tree of errors for everything a user can meet; each class maps to an exit code of `orch`."""

from __future__ import annotations

from collections.abc import Sequence

INTERRUPTED = 130
"""Exit code of `orch` that Ctrl-C ended: 128 + SIGINT, as shells report it."""


class OrchError(Exception):
    """A failure with one clear line for the user, an optional hint, and the exit code of `orch`.

    Exit codes: 0 ok, 1 workload failed, 2 usage or configuration, 3 build, 4 boot or time-out,
    5 attestation, 6 environment.
    """

    default_exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = self.default_exit_code if exit_code is None else exit_code


class WorkloadError(OrchError):
    """What was to be measured failed, or its answers are wrong."""


class UsageError(OrchError):
    """The command line or a configuration file is wrong."""

    default_exit_code = 2


class MistakesError(UsageError):
    """What is wrong with one configuration file, all of it: `mistakes` are lines, each with its hint or None."""

    def __init__(self, mistakes: Sequence[tuple[str, str | None]]) -> None:
        super().__init__("\n".join(line for line, _ in mistakes), hint=mistakes[0][1])
        self.mistakes = tuple(mistakes)


class BuildError(OrchError):
    """An artifact could not be built or fetched."""

    default_exit_code = 3


class BootError(OrchError):
    """A machine did not reach a named state; `console` holds its last console lines where they say why."""

    default_exit_code = 4
    console: Sequence[str] = ()


class AttestationError(OrchError):
    """Evidence was missing, malformed or did not satisfy the policy."""

    default_exit_code = 5


class EnvError(OrchError):
    """The surroundings are at fault: a missing tool, no space, an unreachable mirror, a port in use."""

    default_exit_code = 6
