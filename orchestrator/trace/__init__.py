# SPDX-License-Identifier: Apache-2.0
"""Instruction counts and markers from the emulated machine."""
