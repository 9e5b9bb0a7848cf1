"""Playbooks run by the control plane: the catalogue, what each takes, and ansible-runner in a process of its own.

Nothing here needs Ansible to be imported; what does need it, imports it when it is called.
"""
