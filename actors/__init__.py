"""One file per kind of actor: what runs at the same time as something else."""
