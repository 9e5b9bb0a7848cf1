"""What may be said between control plane, agents and operators: records and words, no I/O."""
