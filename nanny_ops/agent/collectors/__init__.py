"""One file per kind of report that the scheduler sends on its interval."""
