#!/usr/bin/env bash
# Checks the code for 64-bit Arm Linux without that target's standard library:
# bash ci/check-aarch64.sh --help
#
# A compiler accepts only a standard library of its own build. If rustup has none for the target,
# both come from one version of Debian's packages: the compiler for this machine and the library for
# Arm, unpacked and not installed. apt-get uses separate lists, so that this machine's own lists get
# no second architecture.
set -euo pipefail

usage() {
    cat << 'USAGE'
usage: ci/check-aarch64.sh [CARGO CHECK ARGUMENTS]

Runs `cargo check --target aarch64-unknown-linux-gnu`, with `-p arenite-pages --all-targets` where no argument is given.
The exit code is cargo's; 0 after a line `skipped: why` where a part is lacking.

The standard library is the one of `rustup target add aarch64-unknown-linux-gnu` where that was done. Otherwise Debian's
rustc-web and libstd-rust-web-dev, if not older than the rust-version of Cargo.toml, are unpacked into the target directory
(130 MB fetched, 560 MB unpacked, kept for the next run). It compiles nothing that runs: no linker and no emulator.

example: the published crates
  bash ci/check-aarch64.sh -p arenite -p arenite-cli
USAGE
}

skip() {
    echo "skipped: $*"
    exit 0
}

case "${1-}" in --help | -h) usage && exit 0 ;; esac
[ $# -gt 0 ] || set -- -p arenite-pages --all-targets

triple=aarch64-unknown-linux-gnu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v cargo > /dev/null && command -v rustc > /dev/null || skip "lacks cargo or rustc"
began=$SECONDS

check() {
    local status=0
    cargo check --target "$triple" "$@" < /dev/null || status=$?
    echo "checked for $triple with $("${RUSTC:-rustc}" --version) in $((SECONDS - began)) s"
    exit "$status"
}

[ ! -d "$(rustc --print sysroot)/lib/rustlib/$triple/lib" ] || check "$@"

# ---- a compiler and both libraries of one version

target="$(realpath -m "${CARGO_TARGET_DIR:-target}/check-aarch64")"
rust="$target/rust"
if [ -f "$rust/rustc" ]; then
    RUSTC="$rust/rustc" CARGO_TARGET_DIR="$target" check "$@"
fi

hint="\`rustup target add $triple\` would do in its place"
[ "$(uname -sm)" = "Linux x86_64" ] || skip "Debian's compiler is fetched for Linux x86_64, and this is $(uname -sm): $hint"
for program in apt-get dpkg; do
    command -v "$program" > /dev/null || skip "rustc has no library for $triple, and there is no $program to fetch one: $hint"
done

work="$(mktemp -d)"
fresh="$rust.$$"
trap 'rm -rf "$work" "$fresh"' EXIT
mkdir -p "$fresh" "$work"/{lists,archives}/partial "$work/packages"
cat > "$work/apt.conf" << CONF
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "root";
Dir::State::lists "$work/lists";
Dir::Cache "$work";
CONF
export APT_CONFIG="$work/apt.conf"

apt-get update -qq < /dev/null > /dev/null 2>&1 || skip "apt-get update failed for arm64: $hint"
version="$(apt-cache policy rustc-web | awk '$1 == "Candidate:" { print $2 }')"
[ -n "$version" ] && [ "$version" != "(none)" ] || skip "apt-get finds no package rustc-web: $hint"
least="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
dpkg --compare-versions "$version" ge "$least" || skip "rustc-web is $version, and the code needs $least: $hint"

library="libstd-rust-web-$(cut -d . -f 1,2 <<< "$version")" # what rustc itself is linked with
missing=()
while read -r package; do
    missing+=("$package")
done < <(apt-get install -s --no-install-recommends "$library" 2> /dev/null |
    awk -v library="$library" '$1 == "Inst" && $2 != library { print $2 }')
echo "fetching rustc $version and its library for $triple"
(
    cd "$work/packages"
    apt-get download -qq "rustc-web=$version" "$library=$version" "libstd-rust-web-dev:amd64=$version" \
        "libstd-rust-web-dev:arm64=$version" "${missing[@]}" < /dev/null
) || skip "could not fetch the packages of rustc-web $version for amd64 and arm64: $hint"
for package in "$work/packages"/*.deb; do
    dpkg -x "$package" "$fresh"
done
cat > "$fresh/rustc" << RUSTC
#!/bin/sh
here="\$(dirname "\$0")"
LD_LIBRARY_PATH="\$here/usr/lib/x86_64-linux-gnu:\$here/lib/x86_64-linux-gnu" exec "\$here/usr/bin/rustc" "\$@"
RUSTC
chmod 755 "$fresh" "$fresh/rustc"
"$fresh/rustc" --version > /dev/null || skip "rustc-web $version does not run on this machine: $hint"
rm -rf "$rust"
mv "$fresh" "$rust"
rm -rf "$work"
RUSTC="$rust/rustc" CARGO_TARGET_DIR="$target" check "$@"
