# SPDX-License-Identifier: Apache-2.0
"""For all tests: interrupts work in the programs that tests start, however the test run itself was started."""

from __future__ import annotations

import signal

# A run in the background of a shell script inherits an ignored SIGINT, and so would everything it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
