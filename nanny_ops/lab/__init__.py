"""A stand-in for Proxmox VE and its containers: demo, tests, benchmarks. Nothing below knows that it exists."""
