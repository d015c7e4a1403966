#!/bin/sh
# From archives to a finished store where there is no batch system, with nothing but a shell:
#
#   sh shell.sh archives/ clouds.zarr [options of s2ct batch init]
#
# LANES units at a time (default 2). The same line again goes on. Run it on several machines that share a file system, and
# a unit that one of them is making is refused by the others; on one machine alone s2ct convert does all of this better.
set -eu

s2ct batch init "$@"
for store in "$@"; do
  case $store in *.zarr | *.h5) break ;; esac
done
units=$(s2ct batch status "$store" | awk '$1 ~ /^[0-9]+$/ { n++ } END { print n }')
lanes=${LANES:-2}

# Each lane takes every so-manieth unit. One that fails does not stop the others.
lane() {
  number=$1
  failed=0
  while [ "$number" -le "$units" ]; do
    s2ct batch run "$store" "$number" -j 1 || failed=$?
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
  wait "$pid" || true # finalise says what is missing
done
s2ct batch finalise "$store"
