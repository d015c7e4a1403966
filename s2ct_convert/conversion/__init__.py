"""The functions behind the commands: convert, build, batch jobs, job scripts, the estimate of a plan."""
