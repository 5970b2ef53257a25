#!/usr/bin/env bash
# moosefs.sh FOLDER TREE.tar: the workload on MooseFS (Debian: moosefs-master moosefs-chunkserver moosefs-client), with three
# chunk servers on this machine and three copies of every chunk, in a network namespace of its own. Everything it starts keeps
# its files in FOLDER, and is gone at the end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 tree=$2 namespace=kvfs-bench-moosefs
address=10.77.1.1  # Chunk servers refuse the loopback address.

if [ "${3:-}" != inside ]; then
  ip netns add $namespace
  trap 'ip netns del $namespace' EXIT
  ip netns exec $namespace "$0" "$folder" "$tree" inside
  exit
fi

stop() {
  ! mountpoint -q "$folder/mount" || umount "$folder/mount" || umount -l "$folder/mount"
  for number in 1 2 3; do mfschunkserver -c "$folder/chunk$number.cfg" stop; done
  mfsmaster -c "$folder/master.cfg" stop
} >/dev/null 2>&1

ip link set lo up
ip address add $address/32 dev lo
mkdir -p "$folder"/{master,mount}
printf 'MFSM NEW' >"$folder/master/metadata.mfs"  # What the master takes for "no files yet".
echo '* / rw,alldirs,admin,maproot=0:0' >"$folder/exports.cfg"
: >"$folder/topology.cfg"
cat >"$folder/master.cfg" <<END
WORKING_USER = mfs
DATA_PATH = $folder/master
EXPORTS_FILENAME = $folder/exports.cfg
TOPOLOGY_FILENAME = $folder/topology.cfg
MATOML_LISTEN_HOST = $address
MATOCS_LISTEN_HOST = $address
MATOCL_LISTEN_HOST = $address
END
for number in 1 2 3; do
  mkdir -p "$folder/chunk$number" "$folder/disk$number"
  echo "$folder/disk$number" >"$folder/disk$number.cfg"
  cat >"$folder/chunk$number.cfg" <<END
WORKING_USER = mfs
DATA_PATH = $folder/chunk$number
HDD_CONF_FILENAME = $folder/disk$number.cfg
HDD_LEAVE_SPACE_DEFAULT = 1GiB
MASTER_HOST = $address
BIND_HOST = $address
CSSERV_LISTEN_HOST = $address
CSSERV_LISTEN_PORT = $((9421 + number))
END
done
chown -R mfs "$folder"

trap stop EXIT
mfsmaster -c "$folder/master.cfg" start >"$folder/log" 2>&1
for number in 1 2 3; do mfschunkserver -c "$folder/chunk$number.cfg" start >>"$folder/log" 2>&1; done
sleep 5  # Chunk servers register a few seconds after they start.
mfsmount "$folder/mount" -H $address >>"$folder/log" 2>&1
mfssetgoal -r 3 "$folder/mount" >>"$folder/log"
sleep 3  # The master accepts writes once it has counted its chunk servers.
"$here/workload.sh" "$folder/mount" moosefs "$tree"
