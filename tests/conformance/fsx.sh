#!/usr/bin/env bash
# fsx.sh FSX FOLDER: random reads, writes, truncations, holes and maps on one file in FOLDER, checked against a copy in memory,
# in each mode. Options that an old fsx does not know make its mode be left out, and say so.
#   FSX_OPERATIONS  operations in each mode (default 1000000)
#   FSX_SEED        the seed (default: drawn, and printed)
set -euo pipefail
fsx=$1 folder=$2
operations=${FSX_OPERATIONS:-1000000}
seed=${FSX_SEED:-$((RANDOM + 1))}
failed=0 ran=0

knows() { { "$fsx" -Q 2>&1 || true; } | grep -q -- "$1"; }

# one_mode NAME OPTION...
one_mode() {
  local name=$1 log=$folder/$1.log
  shift
  echo "fsx: $name, $operations operations, seed $seed"
  ran=$((ran + 1))
  if ! "$fsx" -q -N "$operations" -S "$seed" "$@" "$folder/$name" >"$log" 2>&1 </dev/null; then
    failed=$((failed + 1))
    echo "FAILED $name: fsx -q -N $operations -S $seed $*"
    tail -n 40 "$log"
  fi
  rm -f "$folder/$name"*
}

one_mode buffered
one_mode large-file -l 8388608 -o 1048576
one_mode without-maps -R -W
one_mode reopened -c 100
if knows '-f: flush'; then one_mode flushed -f; fi
if knows '-Z'; then
  one_mode direct -Z -r 4096 -w 4096 -t 4096 -R -W
else
  echo 'fsx: direct left out: this fsx has no -Z'
fi
echo "$ran modes, $failed failed"
[ $failed = 0 ]
