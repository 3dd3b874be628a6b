# SPDX-License-Identifier: Apache-2.0
"""orch: an emulated Arm CCA machine for measuring confidential inference."""

__version__ = "0.1.0"
