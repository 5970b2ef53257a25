#!/usr/bin/env bash
# library.sh FOLDER FIGURES: measures pools of several sizes through the client library, without a mount, on loopback, with
# certificates and with three copies of everything where there are so many nodes. Each pool is started in FOLDER as
# `kvfs up --nodes N --no-mount` does, and stopped again. Appends a line of JSON for each row to the file FIGURES; what each
# row is, `bench/library/bin/Release/net10.0/KvFs.Bench --help` says. On a machine that does nothing else, best as a part of
# `make bench SYSTEMS=library`, which makes a table and a picture of it.
#   BENCH_NODES       sizes of the pools (default "1 3 5")
#   BENCH_ROWS        rows for all sizes (default "read open-read durable-write durable-create batch names")
#   BENCH_DEEP_NODES  the size of the pool that the next rows are for (default 3; 0: none)
#   BENCH_DEEP_ROWS   rows for that size only (default "amplification growth one-directory")
#   BENCH_OPTIONS     more options of the program, such as "--seconds 20 --grow-to 1000000"
# Exit codes: 0 measured, 1 failed, 3 a program is missing or a pool does not start.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
folder=$(realpath -m "${1:?library.sh FOLDER FIGURES}")
figures=$(realpath -m "${2:?library.sh FOLDER FIGURES}")
kvfs=${KVFS:-$PWD/artifacts/publish/kvfs}
program=$PWD/bench/library/bin/Release/net10.0/KvFs.Bench
sizes=${BENCH_NODES-1 3 5}
rows=${BENCH_ROWS-read open-read durable-write durable-create batch names}
deep_size=${BENCH_DEEP_NODES:-3}
deep_rows=${BENCH_DEEP_ROWS-amplification growth one-directory}

[ -x "$kvfs" ] || { echo "library: $kvfs is missing: run \`make publish\`" >&2; exit 3; }
[ -x "$program" ] || { echo "library: $program is missing: run \`make setup\`" >&2; exit 3; }
command -v python3 >/dev/null || { echo 'library: python3 is missing: run `make setup`' >&2; exit 3; }

data=''
stop_pool() {
  [ -n "$data" ] || return 0
  "$kvfs" down --data "$data" >/dev/null </dev/null || true
  rm -rf --one-file-system "$data"
  data=''
}
trap stop_pool EXIT

# field KIND: the addresses, or the process ids, of the nodes in what kvfs says on the standard input.
field() { python3 -c 'import json, sys; print(",".join(str(node[sys.argv[1]]) for node in json.load(sys.stdin)["nodes"]))' "$1"; }

start_pool() {
  data=$folder/pool-$1
  mkdir -p "$data"
  "$kvfs" up --detach --nodes "$1" --no-mount --metrics off --data "$data" >"$folder/up.log" 2>&1 </dev/null || {
    echo "library: a pool of $1 nodes did not start:" >&2
    tail -n 20 "$folder/up.log" >&2
    exit 3
  }
  servers=$("$kvfs" pool nodes --authority "file:$data/pool.map" --output json </dev/null | field address)
  pids=$("$kvfs" status --data "$data" --output json </dev/null | field pid)
}

# measure ROW...: on the pool that runs.
measure() {
  # shellcheck disable=SC2086 # Options are words.
  "$program" --server "$servers" --pki "$data/pki/client" --pool local --pids "$pids" --row "$@" ${BENCH_OPTIONS:-} </dev/null >>"$figures"
}

mkdir -p "$folder"
for size in $sizes; do
  start_pool "$size"
  # shellcheck disable=SC2086 # Rows are words.
  [ -z "$rows" ] || measure $rows
  stop_pool
done
if [ "$deep_size" != 0 ] && [ -n "$deep_rows" ]; then
  for row in $deep_rows; do
    # Each on a pool of its own: what one leaves behind is not the next one's price.
    start_pool "$deep_size"
    measure "$row"
    stop_pool
  done
fi
