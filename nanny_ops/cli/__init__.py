"""People's hands: nanny-ops for operators, nanny-agent for nodes."""
