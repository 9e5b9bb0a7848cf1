"""The root side of the agent: begins, watches, ends and forgets jobs, and believes nothing that it is told."""
