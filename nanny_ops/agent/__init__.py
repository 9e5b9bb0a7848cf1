"""The daemon on a node: one link, one spool, one worker. It asks the machine floor for everything else."""
