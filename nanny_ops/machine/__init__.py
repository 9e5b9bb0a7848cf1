"""The only floor that touches Linux and Proxmox VE."""
