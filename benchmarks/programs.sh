#!/usr/bin/env bash
# Compares real programs on the system's malloc, on arenite and on other libraries:
# benchmarks/programs.sh [LIBRARY ...]
#
# Prints a table for each program: medians of time, CPU time, page faults and max RSS, and their
# ratios to the system's. A missing program is reported and skipped. Needs `cargo build --release`;
# ROUNDS sets the number of runs on each allocator.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
arenite=$root/target/release/arenite
[ -x "$arenite" ] || { echo "error: build first: cargo build --release" >&2; exit 1; }
against=()
for library in "$@"; do against+=(--against "$library"); done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# $1: name; $2: required program; the rest: command
compare() {
    local name=$1 needs=$2
    shift 2
    if ! command -v "$needs" > /dev/null; then
        echo "$name: skipped: cannot find $needs"
        return
    fi
    echo "## $name"
    "$arenite" run --compare --rounds "${ROUNDS:-5}" "${against[@]}" ${input:+--input "$input"} -- "$@" || echo "$name: failed"
}

cat > main.cpp << 'END'
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>
int main() {
    std::map<std::string, std::vector<int>> all;
    for (int i = 0; i < 300000; i++) all[std::to_string(i % 3000)].push_back(i);
    std::cout << all.size() << std::regex_match("aab", std::regex("a+b")) << "\n";
}
END
cat > work.py << 'END'
import json, multiprocessing, random, threading
def work(n): return sum(len(str(i) * (i % 50)) for i in range(n))
if __name__ == '__main__':
    random.seed(1)
    rows = [{'k%d' % j: [random.random() for _ in range(5)] for j in range(20)} for _ in range(2000)]
    assert json.loads(json.dumps(rows)) == rows
    threads = [threading.Thread(target=work, args=(100000,)) for _ in range(8)]
    [t.start() for t in threads]; [t.join() for t in threads]
    with multiprocessing.Pool(3) as pool: print(sum(pool.map(work, [50000] * 6)))
END
cat > rows.sql << 'END'
create table t(a integer primary key, b text);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 300000)
insert into t select x, printf('%x', x * 2654435761 % 4294967296) || 'padding of some length' from c;
create index i on t(b);
select count(*), sum(length(b)) from t;
select count(*) from t t1 join t t2 on t1.b = t2.b;
END
cat > redis.sh << 'END'
dir=$(mktemp -d)
redis-server --port 0 --unixsocket "$dir/s" --save "" --appendonly no --logfile "$dir/log" > /dev/null 2>&1 &
server=$!
for _ in $(seq 200); do redis-cli -s "$dir/s" ping > /dev/null 2>&1 && break; sleep 0.02; done
redis-benchmark -s "$dir/s" -t set,get,lpush,hset,zadd -n 50000 -r 100000 -d 100 -c 20 -q > /dev/null 2>&1
[ "$(redis-cli -s "$dir/s" dbsize)" -gt 1000 ] && echo served
redis-cli -s "$dir/s" shutdown nosave > /dev/null 2>&1
wait $server
rm -rf "$dir"
END
cat > page.html << 'END'
<canvas id=c width=400 height=300></canvas><script>
let x = document.getElementById('c').getContext('2d');
for (let i = 0; i < 400; i++) { x.fillStyle = `hsl(${i},90%,50%)`; x.fillRect(i, Math.sin(i / 20) * 100 + 150, 3, 3); }
for (let i = 0; i < 2000; i++) document.body.appendChild(document.createElement('p')).textContent = 'row ' + i;
</script>
END
python=$(command -v pyenv > /dev/null && pyenv which python3 || command -v python3)
tests="test_json test_dict test_re test_list test_thread test_queue test_multiprocessing_main_handling"
browser=$(command -v chromium || command -v google-chrome || echo chromium)
lib=$root/crates/arenite-core/src/lib.rs

compare "git, the log with statistics" git git -C "$root" log --stat
compare "perl, a hash of 700,000" perl perl -e '$h{$_} = "x" x ($_ % 90) for 1..700000; print scalar(keys %h), qq(\n)'
compare "python, threads and processes" "$python" "$python" work.py
compare "python, its own tests" "$python" sh -c "$python -m test $tests 2>&1 | grep Result:"
compare "node, a million objects" node node -e 'let a=[];for(let i=0;i<1e6;i++)a.push({i,s:"x"+i});console.log(a.length,JSON.stringify(a).length)'
input=rows.sql compare "sqlite, 300,000 rows and an index" sqlite3 sqlite3 :memory:
compare "redis, five kinds of requests" redis-server sh redis.sh
compare "g++, a file with five headers" g++ g++ -O2 -o main main.cpp
compare "rustc, a library (its own jemalloc inside)" rustc rustc --edition 2024 -O --crate-type lib -o lib.rlib "$lib"
compare "what g++ made" ./main ./main
compare "chromium, a page drawn" "$browser" sh -c "rm -f s.png; $browser --headless --no-sandbox --disable-gpu --screenshot=s.png --window-size=500,400 page.html 2> /dev/null; cat s.png"
