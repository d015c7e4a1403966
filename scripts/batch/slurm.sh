#!/usr/bin/env bash
# From archives to a finished store on SLURM:
#
#   bash slurm.sh archives/ clouds.zarr [options of s2ct batch init]
#
# The same line again submits only units that are missing. Options for your cluster, such as an account, go into
# SBATCH_ACCOUNT, SBATCH_PARTITION and the other variables that sbatch reads; tasks at a time into TASKS.
# s2ct must be on the PATH; archives and store on a file system that all nodes see.
#SBATCH --job-name=s2ct
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=700M
#SBATCH --time=00:30:00             # s2ct plan says how long the largest unit takes; a busy disk takes several times that
#SBATCH --output=s2ct-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail

if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
  exec s2ct batch run "$1" -j "${SLURM_CPUS_PER_TASK:-2}" # the number of the unit is that of the task
fi

s2ct batch init "$@"
for store in "$@"; do
  case $store in *.zarr | *.h5) break ;; esac
done
missing=$(s2ct batch status "$store" | sed -n 's/^missing *--array=//p')

finalise=(sbatch --job-name=s2ct-finalise --ntasks=1 --mem=700M --time=00:30:00 --output=s2ct-finalise-%j.log)
if [ -n "$missing" ]; then
  array=$(sbatch --parsable --array="$missing%${TASKS:-8}" "$0" "$store")
  echo "Submitted array job ${array%%;*}"
  finalise+=(--dependency="afterok:${array%%;*}" --kill-on-invalid-dep=yes)
fi
"${finalise[@]}" --wrap="s2ct batch finalise $(printf %q "$store")"
