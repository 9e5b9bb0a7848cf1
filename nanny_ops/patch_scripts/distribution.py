"""Which script serves which distribution, the one place where that stands.

To add a package manager, write its script and name here whom it serves. Words are those of os-release's ``ID`` and
``ID_LIKE`` and of Proxmox VE's ``ostype``; with a major version, ``centos:7``, where that decides.
"""

from collections.abc import Iterable

#: A script's name without ``.sh``, and the words.
SERVED: dict[str, tuple[str, ...]] = {
    "apt": ("debian", "ubuntu", "devuan", "linuxmint", "raspbian", "proxmox", "kali", "pop"),
    "dnf": (
        "fedora",
        "rhel",
        "centos",
        "rocky",
        "almalinux",
        "ol",
        "cloudlinux",
        "eurolinux",
        "miraclelinux",
        "nobara",
        "ultramarine",
    ),
    "yum": ("rhel:7", "centos:7", "ol:7", "scientific:7", "cloudlinux:7"),
    "zypper": ("opensuse", "opensuse-leap", "opensuse-tumbleweed", "opensuse-slowroll", "suse", "sles", "sled"),
    "pacman": ("arch", "archlinux", "archarm", "manjaro", "endeavouros", "cachyos"),
    "apk": ("alpine", "postmarketos"),
}
#: Relatives of a served distribution that are not served, with the reason; what else is said of them does not count.
UNSERVED = {
    "amzn": "Amazon Linux is not supported: its repositories stand still at one release.",
}


def script_for(words: Iterable[str]) -> tuple[str, str]:
    """Return the script that serves the first word that one serves, or no name and the reason where there is one.

    A word is a name, or a name with its version, ``centos:7.9``. What is meant for one major version goes before what
    is for all; a system of unknown version is taken for one that is still maintained; a script that meets another says
    so.
    """
    for word in words:
        name, _, version = word.partition(":")
        if name in UNSERVED:
            return "", UNSERVED[name]
        for exact in (f"{name}:{version.partition('.')[0]}", name):
            for script, served in SERVED.items():
                if exact in served:
                    return script, ""
    return "", ""
