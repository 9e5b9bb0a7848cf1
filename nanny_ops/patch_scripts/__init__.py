"""Shell scripts that run on targets, and how they are put together; no Python of ours runs there."""
