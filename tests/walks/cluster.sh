# A user of a cluster: an array job of four tasks, one of which is killed; then proof, and a report for a notebook.
. "$(dirname "$0")/walk.sh"

mkdir archives
cp $(sources) archives/

# Is this node fit for it? What will it take?
expect 0 "file locks" s2ct doctor --offline
expect 0 "plan.json has this plan" s2ct plan archives/ clouds.zarr -o plan.json
[ ! -e clouds.zarr ] && [ -s plan.json ]

# Begin once, and get the script of the job. The plan is used as it is.
expect 0 "units 1 to 4" s2ct batch init --plan plan.json
s2ct batch script clouds.zarr --scheduler slurm > job.sh
bash -n job.sh
grep -q "^#SBATCH --array=1-4" job.sh

# Task 1 is killed in the middle: no signal handler runs, nothing looks complete.
signalled KILL "started" s2ct batch run clouds.zarr 1
same "$code" 137
expect 0 "4 planned" s2ct batch status clouds.zarr

# Tasks 2 to 4 end. The store is not finished without task 1, and the message says what to do.
expect 0 "done" s2ct batch run clouds.zarr 2-4
expect 3 "1 of 4 units is missing" s2ct batch finalise clouds.zarr

# The scheduler queues task 1 again; a task that runs twice finds its unit done.
expect 0 "done" s2ct batch run clouds.zarr 1
expect 0 "is done" s2ct batch run clouds.zarr 1
expect 0 "4 done" s2ct batch status clouds.zarr
expect 0 "is complete" s2ct batch finalise clouds.zarr
expect 0 "finished" s2ct batch status clouds.zarr

# Proof: every example of the archives is in the store.
expect 0 "no differences" s2ct verify store clouds.zarr --against archives/

# Numbers for programs: one JSON document on stdout, also after an error.
s2ct batch status clouds.zarr --json > status.json
s2ct info clouds.zarr --json > info.json
s2ct info nowhere --json > error.json 2> /dev/null && exit 1
cat > report.py << 'PYTHON'
import json

status, info, error = (json.load(open(f"{name}.json")) for name in ("status", "info", "error"))
assert status["finished"] and status["counts"]["done"] == len(info["units"]) == 4
assert sum(unit["observations"] for unit in info["units"]) == 309
assert error["error"]["exit_code"] == 2
print("report:", info["digest"])
PYTHON
expect 0 "report: sha256:" python report.py
