"""Which means of tracing the kernel this machine has; whether one may be used is the owner's policy's to say."""

import shutil
from collections.abc import Callable
from pathlib import Path

from nanny_ops.machine.verbs import TracingFacts

#: Where tracefs is mounted, by its own name and as part of debugfs.
TRACEFS = ("sys/kernel/tracing", "sys/kernel/debug/tracing")
#: Where the distribution's packages of bcc put its tools and its Python module.
BCC = ("usr/share/bcc/tools", "usr/lib/python3/dist-packages/bcc")


def describe(root: Path = Path("/"), which: Callable[[str], str | None] = shutil.which) -> TracingFacts:
    """Say which tracer there is, best first, and whether kprobes can be set; what cannot be seen is unknown, not no."""
    events, problem = _kprobes(root)
    tracers = [
        name
        for name, there in (
            ("bpftrace", which("bpftrace") is not None),
            ("bcc", any((root / place).exists() for place in BCC)),
            ("tracefs", events is not None),
        )
        if there
    ]
    return TracingFacts(
        tracers=tracers,
        btf=(root / "sys/kernel/btf/vmlinux").exists(),
        kprobes=events,
        problem=problem,
    )


def _kprobes(root: Path) -> tuple[bool | None, str]:
    """Return whether kprobe events are offered: None where tracefs cannot be read, and why."""
    for place in TRACEFS:
        folder = root / place
        try:
            names = {entry.name for entry in folder.iterdir()}
        except FileNotFoundError:
            continue
        except OSError as wrong:
            return None, f"/{place} cannot be read: {wrong.strerror}."
        if names:
            return "kprobe_events" in names, "" if "kprobe_events" in names else "This kernel offers no kprobes."
    return None, "tracefs is not mounted."
