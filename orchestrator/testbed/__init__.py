# SPDX-License-Identifier: Apache-2.0
"""The testbed: one machine with its keys, its state folder and the transitions between its states."""
