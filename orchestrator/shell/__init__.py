# SPDX-License-Identifier: Apache-2.0
"""SSH into the worlds: commands, files and keys, by fabric and paramiko."""
