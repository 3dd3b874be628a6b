# SPDX-License-Identifier: Apache-2.0
"""One emulated machine: its command line, its QEMU process, consoles, QMP and saved states.

This file imports nothing: the supervisor process runs from this package and must stay small.
"""
