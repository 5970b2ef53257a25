#!/usr/bin/env bash
# write-amplification.sh FOLDER: how many bytes a fresh drive writes to the disk for each byte that a program wrote, for a
# sequential write, 4 KiB random writes with an fsync each, and small files. Counted by the kernel for the server's process
# (write_bytes in /proc/PID/io): blocks, journal, flushes, compactions and what is folded and repacked behind; not the
# journal of the file system below. Each row begins when the drive has been quiet for a while, and ends when it is again.
# Needs what `make setup` builds, and fio.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
# shellcheck source=build/drive.sh
source build/drive.sh
command -v fio >/dev/null || { echo 'write-amplification: fio is missing: run `make setup`' >&2; exit 3; }
scratch=$(mktemp -d "$(realpath "$1")/amplification.XXXXXX")
cleanup() {
  stop_drive
  rm -rf --one-file-system "$scratch"
}
trap cleanup EXIT

written() { awk '/^write_bytes/{w = $2} /^cancelled/{c = $2} END{print w - c}' "/proc/$DRIVE_PID/io"; }

# What goes on behind (folds, repacking, dead blocks after their readers' leases) is part of the price: waits until nothing
# was written for eight seconds.
settle() {
  local last=-1 now quiet=0
  sync "$DRIVE_MOUNT"
  while [ $quiet -lt 8 ]; do
    now=$(written)
    if [ "$now" = "$last" ]; then quiet=$((quiet + 1)); else quiet=0; fi
    last=$now
    sleep 1
  done
}

# row NAME BYTES COMMAND...
row() {
  local name=$1 bytes=$2 before after
  shift 2
  settle
  before=$(written)
  "$@" >/dev/null
  settle
  after=$(written)
  awk -v n="$name" -v u="$bytes" -v d="$((after - before))" \
    'BEGIN{printf "| %s | %.1f | %.1f | %.2f |\n", n, u / 1048576, d / 1048576, d / u}'
}

job() { fio --name=job --filename="$DRIVE_MOUNT/large" --output-format=terse "$@"; }
small_files() {
  python3 - "$DRIVE_MOUNT" "$1" <<'PYTHON'
import os, sys
folder, count = sys.argv[1] + "/small", int(sys.argv[2])
os.mkdir(folder)
for number in range(count):
    with open(f"{folder}/{number:06}", "wb", buffering=0) as file:
        file.write(os.urandom(4096))
PYTHON
}

start_drive "$scratch"
echo '| what a program wrote | MiB | MiB to the disk | amplification |'
echo '| --- | ---: | ---: | ---: |'
row 'sequential write, 1 MiB each, one fsync' $((512 << 20)) \
  job --rw=write --bs=1m --size=512m --end_fsync=1
row '4 KiB random writes, an fsync each' $((20000 * 4096)) \
  job --rw=randwrite --bs=4k --size=256m --fsync=1 --number_ios=20000 --randrepeat=1
row 'files of 4 KiB, no fsync' $((20000 * 4096)) small_files 20000
