#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dask-jobqueue 0.9.0: importing the package (any of its clusters) replaces the process's SIGINT handler.
#
# Seen: `import dask_jobqueue` loads its runner module, which installs a handler at import. From then on Ctrl-C raises
# SystemExit with code 0 in place of KeyboardInterrupt: clean-up that waits for KeyboardInterrupt does not run, and a
# shell or scheduler takes an interrupted program for a successful one.
# What we do: orchestrator/experiment/cluster/connect.py puts the handler back after the import.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dask-jobqueue==0.9.0 distributed==2026.8.0
cat >"$folder/look.py" <<'PYTHON'
import importlib.metadata
import os
import signal
import sys

print("dask-jobqueue", importlib.metadata.version("dask-jobqueue"))
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
from dask_jobqueue import SLURMCluster  # noqa: E402, F401

print("handler replaced:", signal.getsignal(signal.SIGINT) is not signal.default_int_handler)
try:
    os.kill(os.getpid(), signal.SIGINT)
except SystemExit as error:
    print("raised: SystemExit, code", error.code)
    sys.stdout.flush()
    os._exit(0)
except KeyboardInterrupt:
    print("raised: KeyboardInterrupt")
PYTHON
said=$("$folder/venv/bin/python" "$folder/look.py" 2>/dev/null)
echo "$said"
expected='dask-jobqueue 0.9.0
handler replaced: True
raised: SystemExit, code None'
[ "$said" = "$expected" ] || { echo "this has changed; expected:"; echo "$expected"; exit 1; }
echo "as described"
