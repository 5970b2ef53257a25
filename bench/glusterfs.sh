#!/usr/bin/env bash
# glusterfs.sh FOLDER TREE.tar: the workload on GlusterFS (Debian: glusterfs-server glusterfs-client), one volume with three
# replicas on this machine, in a network namespace of its own. It refuses to start where a glusterd runs already: the daemon
# keeps its state in one place of the machine, and the volume made here is removed from it at the end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 tree=$2 namespace=kvfs-bench-glusterfs volume=kvfs-bench
address=10.77.2.1  # Bricks refuse the loopback address.

if [ "${3:-}" != inside ]; then
  if pgrep -x glusterd >/dev/null; then
    echo 'glusterfs.sh: a glusterd runs on this machine already; leaving it alone' >&2
    exit 1
  fi
  ip netns add $namespace
  trap 'ip netns del $namespace' EXIT
  ip netns exec $namespace "$0" "$folder" "$tree" inside
  exit
fi

manage() { gluster --mode=script "$@" >>"$folder/log" 2>&1; }

stop() {
  ! mountpoint -q "$folder/mount" || umount "$folder/mount" || umount -l "$folder/mount"
  manage volume stop $volume force || true
  manage volume delete $volume || true
  kill "$(cat "$folder/glusterd.pid")"
} 2>/dev/null

ip link set lo up
ip address add $address/32 dev lo
mkdir -p "$folder"/{brick1,brick2,brick3,mount}
trap stop EXIT
glusterd --log-file="$folder/glusterd.log" -p "$folder/glusterd.pid"
sleep 4  # It answers once it has read its state.
manage volume create $volume replica 3 $address:"$folder/brick1" $address:"$folder/brick2" $address:"$folder/brick3" force
manage volume start $volume
sleep 4  # The bricks are processes of their own.
mount -t glusterfs $address:/$volume "$folder/mount"
"$here/workload.sh" "$folder/mount" glusterfs "$tree"
