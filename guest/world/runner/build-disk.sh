#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The runner and its libraries as the disk that worlds mount.
set -euo pipefail

"$NODE_disk_tools/bin/make-disk" "$NODE_runner/bundle" "$OUT/runtime.img"
