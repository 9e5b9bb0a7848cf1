"""A whole virtual machine under software emulation: a real kernel, and a real guest agent behind a real virtio port.

It takes no KVM. The kernel is the one that the host's Debian has for clouds, taken from its archive without installing
it; the disk is made of an image's directory. There is no systemd in it: its first process keeps the agent running.
"""

import gzip
import hashlib
import lzma
import os
import platform
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.lab.child import Child
from nanny_ops.lab.image import made_once, must
from nanny_ops.machine.run import run

#: Program -> Debian package that holds it.
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs", "busybox": "busybox-static"}
#: Names the package of the newest kernel, whose disks and ports are modules; those in the order of their needs.
KERNEL = "linux-image-cloud-amd64"
MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"),
    *("virtio_blk", "virtio_console"),
)
#: Seconds to fetch the kernel, and to make a disk.
FETCH_DEADLINE, DISK_DEADLINE = 300.0, 120.0
#: Seconds after which a machine that nobody has stopped ends by itself.
LONGEST = 3600
#: Bytes of a disk, which takes only what is written, and MiB of memory.
DISK, MEMORY = 640 << 20, 384
#: Bytes of a file system in memory, at most.
_ARCHIVE_CAP = 64 << 20
_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
$b mount -t sysfs sys /sys
for module in /modules/*; do $b insmod "$module"; done
$b mount -t ext4 /dev/vda /root
for place in dev proc sys; do $b mount --move /$place /root/$place; done
$b mount -t tmpfs tmpfs /root/run
$b cp /agent /root/run/agent
exec $b switch_root /root /bin/sh /run/agent
"""
_AGENT = """export PATH=/usr/sbin:/usr/bin:/sbin:/bin
while :; do
    qemu-ga --method=virtio-serial --path=/dev/vport0p1 --statedir=/run
    sleep 1
done
"""


def missing() -> list[str]:
    """Return one sentence per thing that such machines lack here; empty when all is there."""
    sentences = (
        [] if platform.machine() == "x86_64" else ["Emulated machines are x86_64, from the archive of the same."]
    )
    packages = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if packages:
        sentences.append(f"Install what is missing: apt-get install --no-install-recommends {' '.join(packages)}")
    return sentences


def boot_files(cache: Path) -> Path:
    """Return a directory with ``kernel`` and ``initramfs``, fetching them on first use: 27 MB. Raises MachineError."""
    recipe = hashlib.sha256(f"{KERNEL}{MODULES}{_INIT}{_AGENT}1".encode()).hexdigest()[:12]
    return made_once(cache / f"boot-{recipe}", _make_boot_files)


@dataclass
class EmulatedMachine:
    """One machine whose disk begins as a copy of ``image``, a directory; its files lie in ``directory``."""

    image: Path
    boot: Path
    directory: Path
    _child: Child | None = field(default=None)

    @property
    def disk(self) -> Path:
        """Return the file that is its disk."""
        return self.directory / "disk"

    @property
    def socket(self) -> Path:
        """Return where this host speaks to its guest agent while it runs."""
        return self.directory / "agent.sock"

    @property
    def console(self) -> Path:
        """Return what its kernel says."""
        return self.directory / "console"

    def create(self) -> None:
        """Make its disk. Raises MachineError."""
        with self.disk.open("xb") as file:
            file.truncate(DISK)
        must(["mkfs.ext4", "-q", "-F", "-d", str(self.image), str(self.disk)], DISK_DEADLINE)

    def start(self) -> None:
        """Give it power and return at once."""
        self.socket.unlink(missing_ok=True)
        argv = [
            *("timeout", str(LONGEST)),  # whoever made it may be killed
            *("qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-cpu", "max", "-m", str(MEMORY)),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", f"file:{self.console}"),
            *("-kernel", str(self.boot / "kernel"), "-initrd", str(self.boot / "initramfs")),
            *("-append", "console=ttyS0 panic=-1 quiet", "-device", "virtio-serial"),
            *("-drive", f"file={self.disk},format=raw,if=virtio"),
            *("-chardev", f"socket,path={self.socket},server=on,wait=off,id=agent"),
            *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
        ]
        self._child = Child("qemu", argv, os.environ, self.directory / "qemu.log")

    def stop(self) -> None:
        """Take its power away."""
        if self._child is not None:
            self._child.end()
            self._child = None


def _make_boot_files(place: Path) -> None:
    (place / "package").mkdir(parents=True)
    tree = _fetch(place / "package")
    shutil.copyfile(next((tree / "boot").glob("vmlinuz-*")), place / "kernel")
    (place / "initramfs").write_bytes(gzip.compress(_archive(tree, place / "early"), 1))
    for folder in ("package", "early"):
        shutil.rmtree(place / folder)


def _fetch(folder: Path) -> Path:
    """Take the kernel's package from the archive and return the directory of its files."""
    _download(KERNEL, folder)
    depends = run(["dpkg-deb", "--field", str(next(folder.glob("*.deb"))), "Depends"], timeout=FETCH_DEADLINE)
    name = depends.stdout.decode().partition(" ")[0].strip().rstrip(",")
    _download(name, folder)
    tree = folder / "tree"
    must(["dpkg-deb", "--extract", str(next(folder.glob(f"{name}_*.deb"))), str(tree)], FETCH_DEADLINE)
    return tree


def _download(package: str, folder: Path) -> None:
    argv = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
    done = run(argv, timeout=FETCH_DEADLINE, cwd=str(folder))
    if done.exit_code != 0:
        raise MachineError(f"{package} cannot be fetched: {done.stderr.decode(errors='replace')[-400:]}")


def _archive(tree: Path, early: Path) -> bytes:
    """Lay out what the kernel begins with, and return it as an archive."""
    for name in ("bin", "modules", "proc", "sys", "dev", "root"):
        (early / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", early / "bin/busybox")
    (early / "init").write_text(_INIT)
    (early / "init").chmod(0o755)
    (early / "agent").write_text(_AGENT)
    for number, name in enumerate(MODULES):
        for file in tree.rglob(f"{name}.ko*"):  # none where it is part of the kernel
            packed = file.read_bytes()
            (early / f"modules/{number}-{name}.ko").write_bytes(
                lzma.decompress(packed) if file.suffix == ".xz" else packed
            )
    names = "\n".join(sorted(str(path.relative_to(early)) for path in early.rglob("*")))
    argv = ["busybox", "cpio", "-o", "-H", "newc"]
    done = run(argv, timeout=DISK_DEADLINE, stdin=names.encode() + b"\n", cwd=str(early), cap=_ARCHIVE_CAP)
    if done.exit_code != 0:
        raise MachineError(f"The kernel's first files cannot be packed: {done.stderr.decode(errors='replace')[-400:]}")
    return done.stdout
