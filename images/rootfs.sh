# SPDX-License-Identifier: Apache-2.0
# For recipes of root file systems: take programs out of Debian packages without running arm64 code.
# Sourced; works on ./packages (what the packages hold) and ./root (what is made).

libs=usr/lib/aarch64-linux-gnu

# unpack DEB...
unpack() {
    local deb
    for deb in "$@"; do
        dpkg-deb -x "$deb" packages
    done
    mkdir -p "root/$libs"
}

needs() {
    aarch64-linux-gnu-readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'
}

add_library() {
    local name=$1 needed
    if [ -e "root/$libs/$name" ]; then
        return
    fi
    if [ ! -e "packages/$libs/$name" ]; then
        echo "$name is needed by $2 and in none of the packages" >&2
        return 1
    fi
    cp -L "packages/$libs/$name" "root/$libs/$name"
    for needed in $(needs "root/$libs/$name"); do
        add_library "$needed" "$name"
    done
}

# add_programs PATH...: programs of the packages, with the libraries that follow from what they say they need.
add_programs() {
    local program library
    for program in "$@"; do
        mkdir -p "root/${program%/*}"
        cp -L "packages/$program" "root/$program"
        for library in $(needs "root/$program"); do
            add_library "$library" "$program"
        done
    done
    ln -sfn aarch64-linux-gnu/ld-linux-aarch64.so.1 root/usr/lib/ld-linux-aarch64.so.1
}

# write_cpio FILE: the root as a raw archive, the same bytes for the same content.
write_cpio() {
    find root -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    (cd root && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) >"$1"
}
