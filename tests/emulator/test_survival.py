# SPDX-License-Identifier: Apache-2.0
"""A VMM that is killed leaves nothing: the driver takes the realm apart."""

from __future__ import annotations

import random

import pytest
from emulated import Bed, host, make_realms_possible

# From the first system call to some time after the guest is ready, which takes a few seconds.
KILL = """
cd /tmp
./rvmm run --world realm --dir /run/victim --kernel /usr/lib/guest/Image --initrd /usr/lib/guest/initrd \
    --cmdline 'console=ttyAMA0 swiotlb=4096 nokaslr arm64.nomops' --mem 128 2>/dev/null &
victim=$!
sleep {seconds}
delegated=$(cat /sys/kernel/debug/realm/granules)
kill -KILL $victim
wait $victim
# It is gone when the driver has taken its realm apart.
cd /sys/kernel/debug/realm
echo killed with $delegated granules, left $(cat granules) leaked $(cat leaked)
"""


@pytest.mark.timeout(400)
def test_killed_at_ten_random_moments(bed: Bed) -> None:
    make_realms_possible(bed)
    moments = random.Random(3)
    held = 0
    for _ in range(10):
        said = host(bed, KILL.format(seconds=f"{moments.uniform(0, 6):.2f}"))
        assert said.endswith(" left 0 leaked 0\n"), said
        held += int(said.split()[2])
    assert held > 0, "it was never killed while it had a realm"
    done = bed.orch("up", "--realm")
    assert done.returncode == 0, done.stderr
