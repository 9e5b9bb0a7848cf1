"""Proxmox VE through its API: one client, and the facts made from its answers."""
