# SPDX-License-Identifier: Apache-2.0
"""The key service: keeps the keys of models, and hands them to realms that have proved what they are."""
