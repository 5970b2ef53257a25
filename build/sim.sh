#!/usr/bin/env bash
# sim.sh SEEDS [FIRST]: runs the simulations with so many seeds each (some run several for one), from FIRST on or from ones that
# nobody has run, and shows what they came to. What fails names its seed: FIRST=seed runs it once more.
set -uo pipefail
cd "$(dirname "$0")/.."
export KVFS_SEEDS=$1 KVFS_SEED=${2:-$(($(date +%s) % 1000000000))} KVFS_REPORT=$PWD/artifacts/sim-report.txt
mkdir -p artifacts
rm -f "$KVFS_REPORT"
echo "sim: from seed $KVFS_SEED on (again: make sim SEEDS=$KVFS_SEEDS FIRST=$KVFS_SEED)"
build/test.sh simulation
code=$?
if [ -e "$KVFS_REPORT" ]; then cat "$KVFS_REPORT"; fi
exit $code
