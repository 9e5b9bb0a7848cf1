"""What the published schema says of each call: its parameters, their bounds, and who may make it."""
