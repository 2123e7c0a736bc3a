"""Many machines: a worker reproduces one run of one commit anywhere; Ray, Slurm or a spot manager says where.

What the machines share is DVC's remote, and nothing else: results and the cache of runs as `dvc push --run-cache`
leaves them, and beside these, under `fleet/`, the commit, unfinished states, and what every worker is at.
"""
