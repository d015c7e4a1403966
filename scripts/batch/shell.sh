#!/bin/sh
# Convert archives to a store with only a shell, without a batch system:
#
#   sh shell.sh archives/ clouds.zarr [options of s2ct batch init]
#
# LANES is the number of units at the same time (default 2). Run the same command again to resume. Several machines that
# share a file system can run it together: each refuses the units that another one is converting. On a single machine,
# use s2ct convert instead.
set -eu

s2ct batch init "$@"
for store in "$@"; do
  case $store in *.zarr | *.h5) break ;; esac
done
units=$(s2ct batch status "$store" | awk '$1 ~ /^[0-9]+$/ { n++ } END { print n }')
lanes=${LANES:-2}

# Lane i converts the units i, i + LANES, i + 2 LANES, ... A unit that fails does not stop the others.
lane() {
  number=$1
  failed=0
  while [ "$number" -le "$units" ]; do
    s2ct batch run "$store" "$number" -j 1 > /dev/null || failed=$? # without its next step
    number=$((number + lanes))
  done
  return "$failed"
}

first=1
pids=
while [ "$first" -le "$lanes" ]; do
  lane "$first" &
  pids="$pids $!"
  first=$((first + 1))
done
for pid in $pids; do
  wait "$pid" || true # finalise reports the missing units
done
s2ct batch finalise "$store"
