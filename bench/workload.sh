#!/usr/bin/env bash
# workload.sh FOLDER LABEL TREE.tar: one pass of the comparison workload in a folder of the file system under test. Prints a
# line "LABEL metric value" for each figure, on the standard error too, for whoever watches. The same work for every system, so that figures of one sitting can be divided by
# each other; on their own they say little. Needs root (it empties the page cache), fio and python3.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(realpath "$1") label=$2
tree=$(realpath "$3")
mkdir "$folder/work"
cd "$folder/work"

report() { printf '%s %s %s\n' "$label" "$1" "$2" | tee /dev/stderr; }

# Everything that was written is durable. The kernel does not tell a FUSE mount of syncfs, but of an fsync of its root.
settle() { sync -f "$folder" && sync "$folder"; }

# What was written goes to the disk, and what was read is forgotten: the next read is a cold one.
forget() { settle && sync && echo 3 >/proc/sys/vm/drop_caches; }

# one_job METRIC FIELD FIO-OPTION...: one fio job on the file `large`; FIELD is where its terse output (version 3) has the
# figure: 7 and 8 are KiB/s and IOPS of reads, 48 and 49 of writes.
one_job() {
  local metric=$1 field=$2 line
  shift 2
  line=$(fio --name=job --filename=large --output-format=terse --terse-version=3 "$@" 2>/dev/null | grep '^3;')
  report "$metric" "$(cut -d';' -f"$field" <<<"$line")"
}

# timed METRIC COMMAND: wall-clock seconds.
timed() {
  local metric=$1 begin=$EPOCHREALTIME
  shift
  "$@" >/dev/null
  report "$metric" "$(awk -v b="$begin" -v e="$EPOCHREALTIME" 'BEGIN{printf "%.3f", e - b}')"
}

unpack() { tar xf "$tree" && sync -f .; }
walk() { find . -type f; }
read_all() { tar cf - . | cat; }
remove_all() { rm -rf ../work; }

six_seconds=(--runtime=6 --time_based)
one_job seqwrite_KBps 48 --rw=write --bs=1m --size=512m --end_fsync=1
forget
one_job seqread_cold_KBps 7 --rw=read --bs=1m --size=512m
one_job randread4k_direct_iops 8 --rw=randread --bs=4k --size=512m --direct=1 "${six_seconds[@]}" --numjobs=2 --group_reporting
one_job randwrite4k_fsync_iops 49 --rw=randwrite --bs=4k --size=256m --fsync=1 "${six_seconds[@]}"
one_job randwrite4k_direct4_iops 49 --rw=randwrite --bs=4k --size=256m --direct=1 "${six_seconds[@]}" --numjobs=4 --group_reporting

python3 "$here/small-files.py" small | while read -r metric value; do report "$metric" "$value"; done

timed untar_s unpack
timed settle_s settle
timed find_s walk
forget
timed tarread_cold_s read_all
timed rmrf_s remove_all
