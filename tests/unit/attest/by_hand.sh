#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A realm's initial measurement with printf and sha256sum (or sha512sum) alone: by_hand.sh SUM ALGORITHM
#
# The realm: IPA width 33, 6 breakpoints, 4 watchpoints; one 2 MiB entry of RAM at 0x40000000; one measured page there,
# "abc" and zeros; REC 0 runnable with pc 0x40000000 and x0 0x40001000. Each step's value is printed behind its name.
# Offsets: RMM specification 1.0, B4.4 and C1.
set -euo pipefail
sum=$1 algorithm=$2
cd "$(mktemp -d)"
trap 'rm -r "$PWD"' EXIT

zeros() { head -c "$1" /dev/zero; }
word() { # 64 bits, little-endian
    local digits i
    digits=$(printf %016x "$1")
    for i in 14 12 10 8 6 4 2 0; do printf "\\x${digits:i:2}"; done
}
digest() { printf "$("$sum" | cut -d' ' -f1 | sed 's/../\\x&/g')"; }
field() { cat "$1"; zeros $((64 - $(stat -c %s "$1"))); } # 64 bytes
show() { mv new rim; echo "$1 $(od -An -v -tx1 rim | tr -d ' \n')"; }

# RmiRealmParams: s2sz at 0x8, num_bps at 0x18, num_wps at 0x20, hash_algo at 0x30.
{ zeros 8; printf '\x21'; zeros 15; printf '\x05'; zeros 7; printf '\x03'; zeros 15; printf "\\x0$algorithm"; zeros $((0x1000 - 0x31)); } |
    digest >new
show create
# Descriptors: type at 0x0, length at 0x8, the value so far at 0x10, then from 0x50 what the type has, 0x100 in all.
{ word 2; word 0x100; field rim; word 0x40000000; word 0x40200000; zeros $((0x100 - 0x60)); } | digest >new
show ripas
{ printf abc; zeros 4093; } | digest >content
{ word 0; word 0x100; field rim; word 0x40000000; word 1; field content; zeros $((0x100 - 0xa0)); } | digest >new
show data
# RmiRecParams: flags at 0x0, pc at 0x200, gprs at 0x300.
{ word 1; zeros $((0x200 - 8)); word 0x40000000; zeros $((0x100 - 8)); word 0x40001000; zeros $((0x1000 - 0x308)); } | digest >content
{ word 1; word 0x100; field rim; field content; zeros $((0x100 - 0x90)); } | digest >new
show rec
