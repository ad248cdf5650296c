#!/usr/bin/env bash
# Instructions of each allocation path, counted by callgrind: benchmarks/instructions.sh [PATH ...]
#
# Prints tab-separated rows: path, instructions per operation, allocator calls per operation,
# instructions per call, operations in a run, whether the repeats agreed, what one operation is.
# An operation costs the difference between a run of 2N and a run of N operations, over N.
# Each run is repeated until two counts are equal, at most REPEATS times (5). A row without two
# equal counts has the least count and "no". The paths named malloc run a C program with the
# preload library. Needs valgrind, and cc for the C program.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
command -v valgrind > /dev/null || { echo "error: valgrind is not installed" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-$root/target}
cargo build --release --quiet --package testkit --example instructions || exit 1
cargo build --release --quiet --package arenite-preload || exit 1
program=$target/release/examples/instructions
library=$target/release/libarenite_preload.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
c_paths=
if command -v cc > /dev/null; then
    cc -O2 -o "$work/malloc_pairs" benchmarks/malloc_pairs.c || exit 1
    c_paths=$'malloc\t20000\t2\tpair of 64 B through the preload library
malloc_1k\t20000\t2\tpair of 1 KiB through the preload library
malloc_mixed\t100000\t2\tfree and allocate through the preload library, 10,000 live blocks of 8 B to 64 KiB'
else
    echo "malloc: left out, there is no cc" >&2
fi
# addresses without randomization, where the system allows that
fixed=()
setarch "$(uname -m)" -R true 2> /dev/null && fixed=(setarch "$(uname -m)" -R)

# $1: a path; $2: operations. Prints the instructions of one run.
count() {
    local run=("$program")
    local environment=(PATH="$PATH" LC_ALL=C)
    case $1 in
        malloc*)
            run=("$work/malloc_pairs")
            environment+=(LD_PRELOAD="$library")
            ;;
    esac
    env -i "${environment[@]}" "${fixed[@]}" valgrind --tool=callgrind --callgrind-out-file=/dev/null "${run[@]}" "$1" "$2" \
        2> "$work/log" > /dev/null || { cat "$work/log" >&2; return 1; }
    sed -nE 's/^==[0-9]+== Collected : ([0-9]+)$/\1/p' "$work/log"
}

# As count, repeated until two counts are equal. Prints the count and whether two were.
stable() {
    local seen=() now old
    for _ in $(seq "${REPEATS:-5}"); do
        now=$(count "$1" "$2") && [ -n "$now" ] || return 1
        for old in "${seen[@]}"; do
            [ "$old" = "$now" ] && { echo "$now yes"; return 0; }
        done
        seen+=("$now")
    done
    echo "$(printf '%s\n' "${seen[@]}" | sort -n | head -1) no"
}

printf 'path\tinstructions\tcalls\tper call\toperations\tequal\toperation\n'
failed=0
while IFS=$'\t' read -r path operations calls what; do
    [ $# -eq 0 ] || [[ " $* " == *" $path "* ]] || continue
    if once=$(stable "$path" "$operations") && twice=$(stable "$path" $((2 * operations))); then
        equal=$([ "${once#* } ${twice#* }" = "yes yes" ] && echo yes || echo no)
        awk -v a="${once% *}" -v b="${twice% *}" -v n="$operations" -v c="$calls" -v p="$path" -v e="$equal" -v w="$what" \
            'BEGIN { i = (b - a) / n; printf "%s\t%.2f\t%d\t%.2f\t%d\t%s\t%s\n", p, i, c, i / c, n, e, w }'
    else
        echo "$path: failed" >&2
        failed=1
    fi
done < <("$program"; [ -z "$c_paths" ] || echo "$c_paths")
exit $failed
