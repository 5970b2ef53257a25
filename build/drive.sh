#!/usr/bin/env bash
# drive.sh: a fresh drive for a script, mounted, and gone again afterwards. To be sourced:
#   start_drive FOLDER [OPTION...]   data in FOLDER/data, mounted at FOLDER/mount; sets DRIVE_MOUNT and DRIVE_PID
#   stop_drive            unmounts and stops it; safe to call again, and from a trap
#   drive_rss_mib         the most memory its process has held so far, in MiB
# Needs what `make setup` builds; KVFS: another program than that.
root_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kvfs=${KVFS:-$root_folder/artifacts/kvfs}
start_seconds=60  # A node opens an empty folder in a second; a loaded machine may need more.

DRIVE_MOUNT='' DRIVE_PID='' DRIVE_DATA=''

start_drive() {
  local folder=$1 waited=0 starter
  shift
  mkdir -p "$folder/data" "$folder/mount"
  DRIVE_DATA=$folder/data
  "$kvfs" up --data "$folder/data" --mount "$folder/mount" "$@" >"$folder/kvfs.log" 2>&1 </dev/null &
  starter=$!
  until mountpoint -q "$folder/mount"; do
    if ! kill -0 $starter 2>/dev/null && ! wait $starter; then
      echo "kvfs up failed:" >&2
      tail -n 20 "$folder/kvfs.log" >&2
      return 1
    fi
    if [ $((waited++)) -ge $((start_seconds * 10)) ]; then
      echo "kvfs up did not mount within $start_seconds seconds (see $folder/kvfs.log)" >&2
      stop_drive
      return 1
    fi
    sleep 0.1
  done
  DRIVE_MOUNT=$folder/mount
  until DRIVE_PID=$(server_of "$folder") && [ -n "$DRIVE_PID" ]; do sleep 0.1; done
}

stop_drive() {
  [ -n "$DRIVE_DATA" ] || return 0
  "$kvfs" down --data "$DRIVE_DATA" >/dev/null 2>&1 </dev/null || true
  [ -z "$DRIVE_MOUNT" ] || ! mountpoint -q "$DRIVE_MOUNT" || umount -l "$DRIVE_MOUNT" || fusermount3 -u -z "$DRIVE_MOUNT" || true
  DRIVE_DATA='' DRIVE_MOUNT=''
}

drive_rss_mib() { awk '/^VmHWM/{printf "%.0f\n", $2 / 1024}' "/proc/$DRIVE_PID/status"; }

# The process that serves a data folder, as `kvfs up` names it: the caller of `up` waits beside it under the same name.
server_of() { sed -n 's/^kvfs is up (pid \([0-9]*\)).*/\1/p' "$1/kvfs.log" | tail -n 1; }
