#!/usr/bin/env bash
# Convert archives to a store on PBS Professional or OpenPBS:
#
#   bash pbs.sh archives/ clouds.zarr [options of s2ct batch init]
#
# Run the same command again to resume: tasks of finished units end at once. Add -A and -q below for an account or a
# queue. TASKS is the number of tasks at the same time. s2ct must be on the PATH, and archives and store on a file
# system that all nodes share.
#PBS -N s2ct
#PBS -l select=1:ncpus=2:mem=700mb
#PBS -l walltime=00:30:00
#PBS -j oe
#PBS -r y
#PBS -V
set -euo pipefail

if [ -n "${PBS_ARRAY_INDEX:-}" ]; then
  cd "$PBS_O_WORKDIR"
  exec s2ct batch run "$STORE" -j 2 # the number of the task is the number of the unit
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
  array=$(PBS_ARRAY_INDEX=1 qsub "$0") # PBS allows no array of one task
fi
qsub -N s2ct-finalise -W depend=afterok:"$array" -l select=1:ncpus=1:mem=700mb -l walltime=00:30:00 -j oe -V <<'END'
cd "$PBS_O_WORKDIR"
s2ct batch finalise "$STORE"
END
