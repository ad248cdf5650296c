#!/usr/bin/env bash
# Runs tests of NUMA and of control groups in a guest of four nodes under qemu's software emulation:
# bash ci/numa-guest.sh --help
#
# A machine with one node shows that a placement call is accepted, not that it places memory. The
# guest has other nodes, and control groups of version 2 that no other program uses. It needs no
# KVM, disk or network: a Debian kernel, unpacked and not installed, and an initramfs of busybox and
# static executables. The kernel writes to the first serial port and the test to the second, so that
# no kernel message cuts a line of a test.
set -euo pipefail

usage() {
    cat << 'USAGE'
usage: ci/numa-guest.sh [--binary FILE] [--timeout SECONDS] [--verbose] [-- TEST ARGUMENTS]

Builds the tests `numa` of arenite-pages and `cgroup` of arenite-observe and the tests within arenite-cli's library that
are named u39 as static executables, or takes FILE, and runs them in a guest:

  node 0  processors 0 and 1, 768 MiB         distances  10 20 30 17
  node 1  processor 2, 768 MiB                           20 10 21 28
  node 2  processor 3, no memory                         30 21 10 40
  node 3  512 MiB, no processor                          17 28 40 10

with ARENITE_NUMA_NODES=4, ARENITE_TEST_VM=1 and --test-threads=1 --nocapture. The exit code is that of the last test that
failed; 99 where the guest did not come so far, 2 for a wrong argument or a test that does not build, 0 after a line
`skipped: why` where a part is lacking.

  --binary FILE      a static x86-64 executable to run in place of building one
  --timeout SECONDS  stops the guest after so long (300)
  --verbose          prints the kernel's messages after the test

It uses qemu-system-x86 (installed by root where there is apt-get) and the packages linux-image-cloud-amd64 and
busybox-static (fetched once into the target directory, never installed).

example: the tests whose names contain `mbind`
  bash ci/numa-guest.sh -- mbind
USAGE
}

skip() {
    echo "skipped: $*"
    exit 0
}

wrong() {
    echo "error: $*" >&2
    exit 2
}

failed() {
    echo "error: $*" >&2
    exit 99
}

binary="" limit=300 verbose=0
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) usage && exit 0 ;;
        --binary) binary="${2-}" && [ -f "$binary" ] && shift 2 || wrong "--binary takes a file, not '${2-}'" ;;
        --timeout) limit="${2-}" && [[ "$limit" =~ ^[1-9][0-9]*$ ]] && shift 2 || wrong "--timeout takes whole seconds, not '${2-}'" ;;
        --verbose) verbose=1 && shift ;;
        --) shift && break ;;
        *) wrong "unknown argument $1: see --help" ;;
    esac
done
[ "$(uname -sm)" = "Linux x86_64" ] || skip "the test is built for Linux x86_64, and this is $(uname -sm)"

root="$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")"
target="$(realpath -m "${CARGO_TARGET_DIR:-$root/target}/numa-guest")"
packages="$target/packages"
mkdir -p "$packages"
work="$(mktemp -d)"
guest=""
cleanup() {
    [ -z "$guest" ] || kill "$guest" 2> /dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# ---- what it needs

updated=0
update() {
    [ "$updated" = 0 ] && [ "$(id -u)" = 0 ] || return 0
    updated=1
    apt-get update < /dev/null > /dev/null || echo "apt-get update failed"
}

for program in apt-get dpkg-deb; do
    command -v "$program" > /dev/null || skip "lacks $program, which fetches and unpacks the guest's kernel"
done
if ! command -v qemu-system-x86_64 > /dev/null; then
    [ "$(id -u)" = 0 ] || skip "lacks qemu-system-x86_64 (package qemu-system-x86), and only root may install it"
    echo "installing qemu-system-x86"
    update
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-system-x86 < /dev/null > /dev/null ||
        skip "could not install qemu-system-x86"
fi

# the kernel's own package, behind the one without files that always names the newest
kernel_package() {
    apt-cache depends linux-image-cloud-amd64 linux-image-amd64 2> /dev/null |
        awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ && !found { print $2; found = 1 }' || true
}

kept() {
    compgen -G "$packages/$1_*.deb" > /dev/null
}

# $1: a package; its file comes into $packages, where it is not there yet
fetch() {
    ! kept "$1" || return 0
    (cd "$work" && apt-get -o APT::Sandbox::User=root -qq download "$1" < /dev/null) && mv "$work/$1"_*.deb "$packages/"
}

# $1: a package; $2: a directory of it, which is copied into $work
unpack() {
    local files=("$packages/$1"_*.deb)
    dpkg-deb --fsys-tarfile "${files[-1]}" | tar -x -C "$work" "./$2"
}

kernel="$(kernel_package)"
kept "$kernel" || { update && kernel="$(kernel_package)"; } # old lists name a kernel that is no longer offered
[ -n "$kernel" ] || skip "apt-get finds no package linux-image-cloud-amd64 or linux-image-amd64"
for package in "$kernel" busybox-static; do
    fetch "$package" || { update && fetch "$package"; } || skip "could not fetch the package $package"
done
unpack "$kernel" boot
unpack busybox-static bin
release="${kernel#linux-image-}"
for word in NUMA MEMCG ACPI_NUMA MIGRATION BLK_DEV_INITRD RD_GZIP DEVTMPFS TMPFS SERIAL_8250_CONSOLE; do
    grep -q "^CONFIG_$word=y" "$work/boot/config-$release" || skip "$kernel is built without CONFIG_$word"
done

# ---- the test

binaries=()
filters=()
# $1: a crate; $2: `--test NAME` or `--lib`; $3: a part of the names of the tests to run, or nothing
build() {
    echo "building $2 of $1"
    local began=$SECONDS
    (
        cd "$root"
        export CARGO_TARGET_DIR="$target" RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
        # shellcheck disable=SC2086
        cargo test -p "$1" $2 --no-run --target x86_64-unknown-linux-gnu \
            --message-format=json-render-diagnostics < /dev/null > "$work/built"
    ) || wrong "the test does not build"
    local built
    built="$(sed -n '/"profile":{[^}]*"test":true/s/.*"executable":"\([^"]*\)".*/\1/p' "$work/built")"
    [ -f "$built" ] || failed "cargo named no executable for the test, but '$built'"
    binaries+=("$built")
    filters+=("$3")
    echo "built in $((SECONDS - began)) s"
}

if [ -z "$binary" ]; then
    command -v cargo > /dev/null || skip "lacks cargo"
    build arenite-pages "--test numa" ""
    build arenite-observe "--test cgroup" ""
    build arenite-cli --lib u39
else
    binaries=("$binary")
    filters=("")
fi
for binary in "${binaries[@]}"; do
    ! ldd "$binary" 2> /dev/null | grep '=>' > /dev/null ||
        wrong "$binary needs libraries that the guest lacks: build it with -C target-feature=+crt-static"
done

# ---- the guest

mkdir -p "$work/root"/{bin,dev,proc,sys,tests,tmp}
cp "$work/bin/busybox" "$work/root/bin/busybox"
for number in "${!binaries[@]}"; do
    cp "${binaries[$number]}" "$work/root/tests/$number"
    chmod 755 "$work/root/tests/$number"
    printf '%s' "${filters[$number]}" > "$work/root/tests/$number.filter"
done
arguments=(--test-threads=1 --nocapture "$@")
cat > "$work/root/init" << INIT
#!/bin/busybox sh
export PATH=/bin HOME=/tmp TMPDIR=/tmp ARENITE_NUMA_NODES=4 ARENITE_TEST_VM=1
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
cd /tmp
(
    stty raw
    echo "guest: Linux \$(uname -r), up after \$(cut -d ' ' -f 1 /proc/uptime) s"
    for node in /sys/devices/system/node/node[0-9]*; do
        echo "guest: \${node##*/}: processors [\$(cat \$node/cpulist)]," \
            "\$(awk '/MemTotal/ { print \$4 }' \$node/meminfo) KiB, distances \$(cat \$node/distance)"
    done
    code=0
    for filter in /tests/*.filter; do
        \${filter%.filter} \$(cat \$filter) ${arguments[@]@Q} || code=\$?
    done
    printf '\\nguest: the tests ended with %s\\n' \$code
) < /dev/ttyS1 > /dev/ttyS1 2>&1
poweroff -f
INIT
chmod 755 "$work/root/init"
(cd "$work/root" && find . | "$work/bin/busybox" cpio -o -H newc 2> /dev/null | gzip -1) > "$work/initramfs"

# Memory-only nodes come last: the kernel numbers those with processors first. It does not move
# pages by itself (numa_balancing) and uses huge pages where advised.
began=$SECONDS
timeout -k 5 "$limit" qemu-system-x86_64 \
    -accel tcg -M q35 -cpu max -smp 4 -m 2G -nographic -no-reboot -nodefaults \
    -object memory-backend-ram,size=768M,id=m0 -numa node,nodeid=0,cpus=0-1,memdev=m0 \
    -object memory-backend-ram,size=768M,id=m1 -numa node,nodeid=1,cpus=2,memdev=m1 \
    -numa node,nodeid=2,cpus=3 \
    -object memory-backend-ram,size=512M,id=m3 -numa node,nodeid=3,memdev=m3 \
    -numa dist,src=0,dst=1,val=20 -numa dist,src=0,dst=2,val=30 -numa dist,src=0,dst=3,val=17 \
    -numa dist,src=1,dst=2,val=21 -numa dist,src=1,dst=3,val=28 -numa dist,src=2,dst=3,val=40 \
    -kernel "$work/boot/vmlinuz-$release" -initrd "$work/initramfs" \
    -append "console=ttyS0 panic=-1 numa_balancing=disable transparent_hugepage=madvise" \
    -serial "file:$work/console" -chardev "stdio,id=test,signal=off,logfile=$work/said" -serial chardev:test \
    < /dev/null &
guest=$!
status=0
wait "$guest" || status=$?
guest=""

code="$(sed -n 's/^guest: the tests ended with \([0-9]*\)\r*$/\1/p' "$work/said" 2> /dev/null | tail -n 1)"
if [ "$verbose" = 1 ]; then
    cat "$work/console"
elif [ -z "$code" ]; then
    tail -n 30 "$work/console"
fi || true
echo "booted and ran in $((SECONDS - began)) s"
if [ -z "$code" ]; then
    [ "$status" != 124 ] || failed "the test did not end in $limit s, and the guest was stopped"
    failed "the guest ended before its test did (qemu: $status): the kernel's last messages are above"
fi
exit "$code"
