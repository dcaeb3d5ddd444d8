"""``anlage predict`` by several processes: shared on one computer, on dask, on SLURM."""
