"""Job scripts for a store after ``s2ct batch init``: an array over its units, then finalise. Never submitted."""

from __future__ import annotations

import shlex
import sys
from math import ceil
from pathlib import Path
from string import Template

from ..errors import WrongUsage
from ..units.ledger import Ledger
from ..words import shell_join, shell_path
from .estimate import Estimate, estimate
from .plan_file import read_plan

_AGAIN = 2  # times that a task is queued again after its time limit
_SLACK = 3  # factor on the estimated time, for a busy shared file system
_MINUTES = 10  # added to the estimated time

_SLURM = Template("""\
#!/usr/bin/env bash
# $title
# Submit it, and the job that finalises the store, with:  bash $name   (sbatch $name submits only the units)
# Watch:  $watch
# Again after failures:  bash $name   (tasks of finished units end at once)
#SBATCH --job-name=s2ct
#SBATCH --array=1-$units%$throttle          # one task per unit; % limits the tasks at a time
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=$threads
#SBATCH --mem=${memory}M                # measured peak of a unit, plus a quarter
#SBATCH --time=$time             # $slack times the estimate for the largest unit, plus $minutes minutes
#SBATCH --output=s2ct-%A_%a.log
#SBATCH --open-mode=append          # a requeued task appends to the same log
#SBATCH --requeue                   # a preempted task is queued again
#SBATCH --signal=B:USR1@120         # two minutes before the time limit
# Your cluster may need more:
##SBATCH --account=...
##SBATCH --partition=...
set -euo pipefail

if [ -z "$${SLURM_ARRAY_TASK_ID:-}" ]; then
  # Not a task: submit the array, and the job that finalises the store after all tasks have succeeded.
  array=$$(sbatch --parsable "$$0")
  echo "Submitted array job $${array%%;*}"
  sbatch --dependency="afterok:$${array%%;*}" --job-name=s2ct-finalise --ntasks=1 --mem=${memory}M --time=$final_time \\
    --output=s2ct-finalise-%j.log --kill-on-invalid-dep=yes --wrap=$finalise
  exit
fi

# SIGTERM comes from scancel or preemption (then SLURM itself queues the task again): the unit stops cleanly. USR1 comes
# before the time limit: the unit stops cleanly, and the script queues the task again, $again times at most.
$run -j "$${SLURM_CPUS_PER_TASK:-$threads}" &
unit=$$!
stop() {
  trap '' USR1 TERM
  kill -TERM "$$unit" 2>/dev/null || true
  wait "$$unit" || true
}
time_is_up() {
  stop
  if [ "$${SLURM_RESTART_COUNT:-0}" -lt $again ]; then
    scontrol requeue "$${SLURM_ARRAY_JOB_ID}_$${SLURM_ARRAY_TASK_ID}"
  fi
}
trap 'stop; exit 143' TERM
trap 'time_is_up; exit 143' USR1
wait "$$unit"
""")

_PBS = Template("""\
#!/usr/bin/env bash
# $title
# Submit it, and the job that finalises the store, with:  bash $name
# Watch:  $watch
# Again after failures:  bash $name   (tasks of finished units end at once)
#PBS -N s2ct
$pbs_array
#PBS -l select=1:ncpus=$threads:mem=${memory}mb
#PBS -l walltime=$time
#PBS -j oe
#PBS -r y
# Your cluster may need more:
##PBS -A ...
##PBS -q ...
set -euo pipefail

if [ -z "$${PBS_ARRAY_INDEX:-}" ]; then
  # Not a task: submit the array, and the job that finalises the store after all tasks have succeeded.
  array=$$(qsub "$$0")
  printf '%s\\n' $finalise | qsub -N s2ct-finalise -W depend=afterok:"$$array" \\
    -l select=1:ncpus=1:mem=${memory}mb -l walltime=$final_time -j oe
  exit
fi

cd "$${PBS_O_WORKDIR:-.}"
exec $run -j $threads
""")

_SHELL = Template("""\
#!/usr/bin/env bash
# $title
# Run it with:  bash $name   (run it again to resume; finished units end at once)
# Watch:  $watch
set -euo pipefail

# A unit that fails does not stop the others. The store is finalised only if no unit failed.
# shellcheck disable=SC2016  # the inner shell expands $$1
seq 1 $units | xargs -P $throttle -n 1 bash -c $task s2ct > /dev/null # without the next step of each
$final
""")

_TEMPLATES = {"slurm": _SLURM, "pbs": _PBS, "shell": _SHELL}


def job_script(store: Path, scheduler: str, *, throttle: int, threads: int, name: str = "job.sh") -> str:
    """A complete job script for a store that :func:`init_batch` started.

    Parameters
    ----------
    store : Path
    scheduler : {"slurm", "pbs", "shell"}
    throttle : int
        Maximum of tasks at a time.
    threads : int
        Cores of each task.
    name : str
        File name of the script, for the commands in its comments.

    Raises
    ------
    WrongUsage
        If no batch was started here.
    """
    ledger = Ledger(store)
    if not ledger.plan_path.exists():
        raise WrongUsage(
            "no batch was started here", where=str(store), todo="start with s2ct batch init SOURCE... STORE"
        )
    plan = read_plan(ledger.plan_path)
    found = estimate(plan, threads)
    n = len(found.units)
    # Full path: a batch job may have another PATH than a terminal.
    program = [sys.executable, "-m", "s2ct_convert"]
    s2ct, home = shlex.join(program), shlex.quote(str(store.absolute()))
    final = f"{s2ct} batch finalise {home}"
    return _TEMPLATES[scheduler].substitute(
        title=f"Converts {n} sources to {printable_line(store)}: one task per unit, then the index.",
        name=name,
        watch=f"{shell_join(program)} batch status {shell_path(store.absolute())}",
        units=n,
        throttle=min(throttle, n),
        threads=threads,
        memory=ceil(found.peak_memory * 1.25 / (1 << 20)),
        time=_clock(_longest(found) * _SLACK + 60 * _MINUTES),
        final_time=_clock(60 * _MINUTES + n * 2),
        slack=_SLACK,
        again=_AGAIN,
        pbs_array=_pbs_array(n, min(throttle, n)),
        minutes=_MINUTES,
        run=f"{s2ct} batch run {home}",
        task=shlex.quote(f'exec {s2ct} batch run {home} "$1" -j {threads}'),
        final=final,
        finalise=shlex.quote(final),
    )


def _pbs_array(units: int, throttle: int) -> str:
    """The array options of PBS: there is no array of one task, and not every PBS has a throttle in ``-J``."""
    if units == 1:
        return "#PBS -v PBS_ARRAY_INDEX=1"
    return f"#PBS -J 1-{units}\n#PBS -W max_run_subjobs={throttle}"


def printable_line(path: Path) -> str:
    """The name of a path for a comment, without line breaks, which would end the comment."""
    return "".join(one if one.isprintable() else "?" for one in path.name)


def _longest(found: Estimate) -> float:
    return max((unit.seconds for unit in found.units), default=0.0)


def _clock(seconds: float) -> str:
    minutes = ceil(seconds / 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:00"
