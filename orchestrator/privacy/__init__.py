# SPDX-License-Identifier: Apache-2.0
"""Attacks on what runs in the emulated machine, and what each of them gets."""
