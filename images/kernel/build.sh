#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configure and build Linux from the distribution's source package, the same bytes in whatever folder.
set -euo pipefail

dpkg-deb --fsys-tarfile "$IN_linux_source"/linux-source-*.deb |
    tar -xf - --wildcards --strip-components=3 './usr/src/linux-source-*.tar.xz'

# Left out: parts that no configuration of ours compiles, a third of the files. Of drivers and architectures that the
# fragment does not reach, Kconfig's and make's files stay. Lines of the user's own may reach any driver.
left_out=(--exclude='*/drivers/gpu/drm/amd/include/asic_reg' --exclude='*/tools/testing' --exclude='*/tools/perf'
    --exclude='*/Documentation/*/*' --exclude='*/boot/dts/*/*.dts*')
for tree in alpha loongarch m68k mips parisc powerpc riscv s390 sh sparc x86 xtensa; do
    left_out+=(--exclude="*/arch/$tree/*.[chS]")
done
if [ -z "$PARAM_fragment_file" ]; then
    for tree in accel crypto gpu hid hwmon iio infiniband input media mtd net/ethernet net/wireless pinctrl platform \
        scsi staging usb video; do
        left_out+=(--exclude="*/drivers/$tree/*.[ch]")
    done
    left_out+=(--exclude='*/sound/soc/*.[ch]' --exclude='*/sound/pci/*.[ch]')
fi
mkdir ks kb
xz -dc -T "$JOBS" linux-source-*.tar.xz | tar -xf - -C ks --strip-components=1 "${left_out[@]}"
rm linux-source-*.tar.xz

# Everything that Linux would take from the surroundings is fixed.
KBUILD_BUILD_TIMESTAMP=$(date -u -d "@$SOURCE_DATE_EPOCH")
export KBUILD_BUILD_TIMESTAMP KBUILD_BUILD_USER=orch KBUILD_BUILD_HOST=orch KBUILD_BUILD_VERSION=1
compiler=aarch64-linux-gnu-gcc
# Filling a compiler cache costs a third more. It pays where lines of the user's own are tried one after the other.
if [ -n "$PARAM_fragment_file" ] && command -v ccache >/dev/null; then
    # Paths below the scratch folder are made relative, so that a build in another folder hits.
    export CCACHE_BASEDIR="$PWD" CCACHE_DIR
    compiler="ccache $compiler"
fi
# What the compiler says of a released source helps nobody. That it does not look saves a tenth of the time; the objects are
# the same, byte for byte.
unwarned='-w -Wno-misleading-indentation -ftrack-macro-expansion=0'
# Tools that some computers have and none of our options uses would still be written into the configuration.
kmake() {
    make -C ks -s O="$PWD/kb" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- CC="$compiler" KCFLAGS="$unwarned" \
        RUSTC=unused-rustc BINDGEN=unused-bindgen PAHOLE=unused-pahole "$@"
}

{
    cat "$SRC/kernel.fragment"
    echo "CONFIG_HZ_$PARAM_hz=y"
    if [ -n "$PARAM_fragment_file" ]; then
        cat "$PARAM_fragment_file"
    fi
} >requested
kmake KCONFIG_ALLCONFIG="$PWD/requested" allnoconfig
bash "$SRC/check-config.sh" requested kb/.config

kmake -j"$JOBS" Image modules
cp kb/arch/arm64/boot/Image kb/vmlinux kb/System.map kb/Module.symvers "$OUT/"
cp kb/.config "$OUT/config"

# What modules build against. Linux's own packaging script selects the files; being told that the compiler
# of the target is the one of this computer, it keeps the helper programs as they are (x86-64).
(cd kb && srctree=../ks SRCARCH=arm64 CC=gcc HOSTCC=gcc MAKE=make sh ../ks/scripts/package/install-extmod-build "$OUT/devel")
find "$OUT/devel" -xtype l -delete
# The assembly that offsets are taken from names its source by its full path; modules need what was made of it.
find "$OUT/devel" -name '*.s' -delete
if grep -rlF "$PWD" "$OUT" >leaks; then
    sed "s|^$OUT/|kernel: the scratch folder's path is in |" leaks >&2
    exit 1
fi
