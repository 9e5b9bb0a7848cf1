"""Which tracers there are; what cannot be seen is unknown."""

from pathlib import Path

from nanny_ops.machine.tracer import describe


def nothing(_name: str) -> None:
    return None


def test_nothing_there(tmp_path: Path) -> None:
    found = describe(tmp_path, nothing)
    assert (found.tracers, found.btf, found.kprobes, found.problem) == ([], False, None, "tracefs is not mounted.")


def test_an_empty_mount_point_is_not_tracefs(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel/tracing").mkdir(parents=True)
    assert describe(tmp_path, nothing).kprobes is None
    (tmp_path / "sys/kernel/tracing/events").mkdir()
    found = describe(tmp_path, nothing)
    assert (found.tracers, found.kprobes) == (["tracefs"], False)
    assert "no kprobes" in found.problem


def test_the_best_comes_first(tmp_path: Path) -> None:
    for place in ("sys/kernel/debug/tracing/kprobe_events", "usr/share/bcc/tools", "sys/kernel/btf/vmlinux"):
        (tmp_path / place).mkdir(parents=True)
    found = describe(tmp_path, lambda name: f"/usr/bin/{name}")
    assert (found.tracers, found.btf, found.kprobes, found.problem) == (["bpftrace", "bcc", "tracefs"], True, True, "")
