"""What commands call: convert, build, batch jobs, job scripts, the estimate of a plan."""
