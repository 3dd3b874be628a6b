# SPDX-License-Identifier: Apache-2.0
"""A LocalCluster of two in a process of its own, which is the scheduler: prints its address, and stays."""

from __future__ import annotations

import sys
import time

from distributed import LocalCluster

if __name__ == "__main__":
    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        memory_limit=0,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
        local_directory=sys.argv[1],
    )
    print(cluster.scheduler_address, flush=True)  # noqa: T201
    time.sleep(600)
