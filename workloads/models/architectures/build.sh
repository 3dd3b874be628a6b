#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Make one architecture with random weights.
set -euo pipefail

"$NODE_model_tools/bin/python" "$SRC/architectures/build.py" "$PARAM_name" "$OUT"
