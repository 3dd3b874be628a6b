# SPDX-License-Identifier: Apache-2.0
"""What a realm proves about itself, and what it has to be."""
