#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the realm payload, then the host payloads that carry it: checks.bin, bench.bin and crash.bin.
set -euo pipefail

gcc=aarch64-linux-gnu-gcc
# As for the RMM: no libc, no FP outside assembly, aligned accesses only (the MMU stays off, so memory is Device).
flags=(-std=gnu11 -O2 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-common -fno-strict-aliasing
    -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -mstrict-align -mno-outline-atomics
    -mbranch-protection=none -march=armv8.5-a -ffile-prefix-map="$SRC/"= -I"$SRC" -I"$PROJECT/guest/abi" -I.)
strict=(-mgeneral-regs-only -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla)
link=(-nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments
    -Wl,--fatal-warnings)

compile() { # SOURCE OBJECT
    case $1 in
    *.S) "$gcc" "${flags[@]}" -c -o "$2" "$1" ;;
    *) "$gcc" "${flags[@]}" "${strict[@]}" -c -o "$2" "$1" ;;
    esac
}

payload() { # NAME LINKER-SCRIPT SOURCE...
    local name=$1 script=$2 objects=() source
    shift 2
    for source in "$@"; do
        compile "$SRC/$source" "$name-$source.o"
        objects+=("$name-$source.o")
    done
    "$gcc" "${link[@]}" -T "$SRC/$script" -o "$OUT/$name.elf" "${objects[@]}"
    aarch64-linux-gnu-objcopy -O binary "$OUT/$name.elf" "$OUT/$name.bin"
}

payload realm realm.lds realm_start.S realm_state.S realm.c
cp "$OUT/realm.bin" .
common=(host_start.S host_state.S console.c memory.c rmi.c build.c run.c tap.c realm_image.S)
payload checks host.lds "${common[@]}" checks.c check_version.c check_granule.c check_realm.c check_rtt.c \
    check_fold.c check_data.c check_unprotected.c check_rec.c check_enter.c check_rsi.c check_ripas.c check_mmio.c \
    check_abort.c check_gic.c check_psci.c token.c check_token.c check_hash.c check_wide.c check_state.c check_two.c check_end.c
payload bench host.lds "${common[@]}" bench.c
payload crash host.lds "${common[@]}" crash.c
