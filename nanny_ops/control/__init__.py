"""The control plane: decides and remembers, never touches a machine."""
