"""What a job does around its script: look, protect, start, run hooks, look again, roll back, leave as it was found."""
