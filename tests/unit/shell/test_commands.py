# SPDX-License-Identifier: Apache-2.0
"""Commands over SSH that do not end well: each has its own words."""

from __future__ import annotations

from typing import Any

import pytest
from invoke.exceptions import CommandTimedOut
from invoke.runners import Result

from orchestrator.errors import BootError, OrchError
from orchestrator.shell import ssh


class Link:
    """A connection whose every command ends in the same way."""

    host = "host"

    def __init__(self, ending: Result | Exception) -> None:
        self._ending = ending

    def run(self, *_: Any, **__: Any) -> Result:
        """As fabric's."""
        if isinstance(self._ending, Exception):
            raise self._ending
        return self._ending


@pytest.mark.parametrize(
    ("ending", "kind", "words"),
    [
        (CommandTimedOut(Result(), timeout=30), BootError, "'true' did not end within 30 s"),
        (EOFError(), BootError, "host no longer answers: EOFError"),
        (Result(exited=-1), BootError, "host no longer answers"),
        (Result(exited=3, stdout="a\n", stderr="b\nc\n"), OrchError, "'true' ended with exit code 3: c"),
        (Result(exited=3), OrchError, "'true' ended with exit code 3: no output"),
    ],
    ids=["silent", "gone", "ended under it", "refused", "refused without a word"],
)
def test_a_command_that_must_succeed(ending: Any, kind: type[OrchError], words: str) -> None:
    with pytest.raises(kind) as caught:
        ssh.capture(Link(ending), "true", 30)  # type: ignore[arg-type]
    assert type(caught.value) is kind
    assert caught.value.message == words
