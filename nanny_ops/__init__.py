"""nanny-ops: know, patch and diagnose the guests and nodes of Proxmox VE clusters."""

__version__ = "0.1.0"
