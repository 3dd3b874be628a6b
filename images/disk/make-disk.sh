#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make-disk FOLDER IMAGE: a read-only disk of a folder's files, the same bytes for the same content.
#
# IMAGE is an EROFS file system without compression, and behind it the tree of SHA-256 hashes of its blocks that dm-verity
# checks each block against. IMAGE.json has what the kernel has to be told: the root of the tree and where it begins.
set -euo pipefail

folder=$1 image=$2
here=$(dirname "$(readlink -f "$0")")
block=4096

# Every block of data is a block of the file: no tails among the inodes, nothing compressed, no time, owner or id of here.
"$here/mkfs.erofs" --quiet -b "$block" -E noinline_data,force-inode-compact -x -1 -T "${SOURCE_DATE_EPOCH:-0}" \
    --all-root -U clear "$image" "$folder"
truncate -s "%$block" "$image"
blocks=$(($(stat -c %s "$image") / block))

# No superblock: it would say again, unmeasured, what the command line says. No salt: the same content, the same root.
root=$("$here/veritysetup" format --no-superblock --format=1 --hash=sha256 --salt=- --data-block-size="$block" \
    --hash-block-size="$block" --data-blocks="$blocks" --hash-offset="$((blocks * block))" "$image" "$image" |
    sed -n 's/^Root hash:[[:space:]]*//p')
case $root in
"" | *[!0-9a-f]*) echo "veritysetup has printed no root hash" >&2 && exit 1 ;;
esac
printf '{"block_bytes": %d, "data_blocks": %d, "root_hash": "%s"}\n' "$block" "$blocks" "$root" >"$image.json"
