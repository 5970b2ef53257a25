#!/usr/bin/env bash
# run.sh [SYSTEM...]: measures ext4, kvfs, kvfs3 (three nodes, three copies), and what is installed of moosefs and glusterfs, one after the other on the same
# disk, and puts a table of ratios, a picture and the figures into bench/results/<date>-<commit>/. As root, on a machine that
# does nothing else. The system `library`, only if it is named, is pools of 1, 3 and 5 nodes through the client library, without a
# mount: bench/library.sh, with tables and a picture of their own.
#   BENCH_FOLDER   a folder on the disk to measure (default artifacts); should be ext4. What is made in it goes again.
#   BENCH_TREE     a .tar to unpack (default: made of /usr/include)
#   BENCH_PASSES   passes over all systems; the median counts (default 1)
#   BENCH_FILES    so many files in one directory of kvfs, too; the issue's figure is 1000000 (default: none)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
# What `make publish` makes is measured: compiled ahead, as it is deployed.
KVFS=$PWD/artifacts/publish/kvfs
[ -x "$KVFS" ] || { echo 'bench: artifacts/publish/kvfs is missing: run `make publish`' >&2; exit 3; }
# shellcheck source=build/drive.sh
source build/drive.sh
disk=$(realpath -m "${BENCH_FOLDER:-artifacts}")

if [ "$(id -u)" != 0 ]; then echo 'bench: needs root, to empty the page cache between steps' >&2; exit 3; fi
have() {
  local tool
  for tool in "$@"; do command -v "$tool" >/dev/null || return 1; done
}
have fio python3 tar || { echo 'bench: fio, python3 or tar is missing: run `make setup`' >&2; exit 3; }

systems=("$@")
if [ ${#systems[@]} = 0 ]; then
  systems=(ext4 kvfs kvfs3)
  if have mfsmaster mfschunkserver mfsmount; then systems+=(moosefs); fi
  if have glusterd gluster mount.glusterfs; then systems+=(glusterfs); fi
fi

mkdir -p "$disk"
scratch=$(mktemp -d "$disk/bench.XXXXXX")
cleanup() {
  stop_drive
  rm -rf --one-file-system "$scratch"
}
trap cleanup EXIT
chmod 755 "$scratch"  # A peer's servers run as a user of their own.
kind=$(stat -f -c %T "$scratch")
[ "$kind" = ext2/ext3 ] || echo "bench: note: $scratch is on $kind, so the column ext4 is not ext4" >&2
tree=${BENCH_TREE:-$scratch/tree.tar}
[ -e "$tree" ] || tar cf "$tree" -C / usr/include
figures=$scratch/figures
: >"$figures"

measure() {
  local system=$1 folder=$scratch/$1
  mkdir "$folder"
  case $system in
    ext4) bench/workload.sh "$folder" ext4 "$tree" ;;
    kvfs)
      start_drive "$folder"
      bench/workload.sh "$DRIVE_MOUNT" kvfs "$tree"
      echo "kvfs memory_MiB $(drive_rss_mib)"
      stop_drive
      ;;
    kvfs3)
      start_drive "$folder" --nodes 3
      bench/workload.sh "$DRIVE_MOUNT" kvfs3 "$tree"
      stop_drive
      ;;
    library) KVFS=$KVFS bench/library.sh "$folder" "$scratch/library.jsonl" ;;
    # A peer that does not come up costs its column, not the sitting.
    moosefs | glusterfs) "bench/$system.sh" "$folder" "$tree" || echo "bench: $system failed" >&2 ;;
    *) echo "bench: no such system: $system" >&2; return 1 ;;
  esac
  rm -rf "$folder"
}

for pass in $(seq "${BENCH_PASSES:-1}"); do
  for system in "${systems[@]}"; do
    echo "bench: $system, pass $pass"
    measure "$system" >>"$figures"
    sync
  done
done

if [ -n "${BENCH_FILES:-}" ]; then
  echo "bench: $BENCH_FILES files in one directory"
  mkdir "$scratch/directory"
  start_drive "$scratch/directory"
  python3 bench/one-directory.py "$DRIVE_MOUNT" "$BENCH_FILES" "$DRIVE_PID" | tee "$scratch/directory.txt"
  stop_drive
fi

if [[ " ${systems[*]} " == *' kvfs '* ]]; then
  echo 'bench: write amplification'
  bench/write-amplification.sh "$scratch" | tee "$scratch/write-amplification.txt"
fi

commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || commit+=-changed
results=bench/results/$(date -u +%Y-%m-%d)-$commit
mkdir -p "$results"
[ ! -e "$scratch/write-amplification.txt" ] || cp "$scratch/write-amplification.txt" "$results/"
[ ! -e "$scratch/directory.txt" ] || cp "$scratch/directory.txt" "$results/one-directory.txt"
[ ! -e "$scratch/library.jsonl" ] || python3 bench/render-library.py "$scratch/library.jsonl" "$results" "$commit" "$scratch"
[ ! -s "$figures" ] || python3 bench/render.py "$figures" "$results" "$commit" "$scratch" "$tree"
