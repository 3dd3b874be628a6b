#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check-config.sh REQUESTED FINAL: fail with one line naming what was asked for and is not in FINAL.
#
# Kconfig drops a requested option silently when a dependency is missing or the name does not exist (any more).
# Where an option is requested twice, the last line counts, as it does for Kconfig.
set -euo pipefail

awk '
    function symbol() { return $1 == "#" ? $2 : substr($0, 1, index($0, "=") - 1) }
    !/^(CONFIG_[A-Za-z0-9_]+=|# CONFIG_[A-Za-z0-9_]+ is not set$)/ { next }
    NR == FNR { if (!(symbol() in request)) order[++count] = symbol(); request[symbol()] = $0; next }
    { final[symbol()] = $0 }
    END {
        for (i = 1; i <= count; i++)
            if (request[order[i]] != final[order[i]])
                missing = missing (missing ? ", " : "") "\"" request[order[i]] "\""
        if (missing) {
            print "kernel: requested but not in the final configuration: " missing > "/dev/stderr"
            exit 1
        }
    }' "$1" "$2"
