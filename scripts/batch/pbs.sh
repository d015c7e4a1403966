#!/usr/bin/env bash
# From archives to a finished store on PBS Professional or OpenPBS:
#
#   bash pbs.sh archives/ clouds.zarr [options of s2ct batch init]
#
# The same line again goes on: units that are done end at once. An account or a queue: put -A and -q below; tasks at a
# time into TASKS. s2ct must be on the PATH; archives and store on a file system that all nodes see.
#PBS -N s2ct
#PBS -l select=1:ncpus=2:mem=700mb
#PBS -l walltime=00:30:00
#PBS -j oe
#PBS -r y
#PBS -V
set -euo pipefail

if [ -n "${PBS_ARRAY_INDEX:-}" ]; then
  cd "$PBS_O_WORKDIR"
  exec s2ct batch run "$STORE" -j 2 # the number of the unit is that of the task
fi

s2ct batch init "$@"
for STORE in "$@"; do
  case $STORE in *.zarr | *.h5) break ;; esac
done
export STORE
units=$(s2ct batch status "$STORE" | awk '$1 ~ /^[0-9]+$/ { n++ } END { print n }')

if [ "$units" -gt 1 ]; then
  array=$(qsub -J "1-$units" -W max_run_subjobs="${TASKS:-8}" "$0")
else
  array=$(PBS_ARRAY_INDEX=1 qsub "$0") # there is no array of one
fi
qsub -N s2ct-finalise -W depend=afterok:"$array" -l select=1:ncpus=1:mem=700mb -l walltime=00:30:00 -j oe -V <<'END'
cd "$PBS_O_WORKDIR"
s2ct batch finalise "$STORE"
END
