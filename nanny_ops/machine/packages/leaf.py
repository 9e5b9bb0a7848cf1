"""What there is to know about one package manager."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One package manager: the script that drives it and the distributions it belongs to."""

    name: str
    #: File name in nanny_ops/patch_scripts.
    script: str
    #: The program that must be there.
    program: str
    #: Words of os-release's ID and ID_LIKE and of Proxmox's ostype; with a version, ``centos:7``, where it decides.
    distributions: frozenset[str]
