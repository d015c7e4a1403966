#!/usr/bin/env bash
# Convert archives to a store on SLURM:
#
#   bash slurm.sh archives/ clouds.zarr [options of s2ct batch init]
#
# Run the same command again to submit only the missing units. Set SBATCH_ACCOUNT, SBATCH_PARTITION and other variables
# that sbatch reads for your cluster. TASKS is the number of tasks at the same time.
# s2ct must be on the PATH, and archives and store on a file system that all nodes share.
#SBATCH --job-name=s2ct
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=700M
#SBATCH --time=00:30:00             # s2ct plan estimates the largest unit; allow several times that for a busy disk
#SBATCH --output=s2ct-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail

if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
  exec s2ct batch run "$1" -j "${SLURM_CPUS_PER_TASK:-2}" # the number of the task is the number of the unit
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
