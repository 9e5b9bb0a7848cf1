"""Notes of patch scripts, whose authors may be strangers."""

import json

import pytest

from nanny_ops.machine.packages import note
from nanny_ops.protocol.patch_report import Interrupted, Left, LockHolder


def lines(*records) -> bytes:
    return b"".join(b"nanny-note " + json.dumps(record).encode() + b"\n" for record in records)


def test_each_kind_finds_its_place():
    told = lines(
        {"kind": "left", "name": "a", "old_version": "1", "version": "2", "why": "held"},
        {"kind": "conffile", "path": "/etc/a.dpkg-dist"},
        {"kind": "lock", "pid": 7, "name": "apt-get"},
        {"kind": "interrupted", "what": "half", "repaired": True},
        {"kind": "not_refreshed", "repository": "http://x"},
        {"kind": "reboot", "required": True, "why": ["dbus"]},
        {"kind": "service", "name": "ssh.service"},
        {"kind": "service", "name": "ssh.service"},
        {"kind": "kernel", "running": "6.8", "newest": "6.11"},
        {"kind": "ended", "how": "partial"},
    )
    notes = note.read(b"Reading...\n" + told + b"[]\n")
    report = notes.report()
    assert notes.ended == "partial"
    assert report.left == [Left(name="a", old_version="1", version="2", why="held")]
    assert (report.conffiles, report.not_refreshed) == (["/etc/a.dpkg-dist"], ["http://x"])
    assert report.lock == LockHolder(pid=7, name="apt-get")
    assert report.interrupted == Interrupted(what="half", repaired=True)
    assert (report.reboot_required, report.reboot_why) == (True, ["dbus"])
    assert (report.services, report.kernel_running, report.kernel_newest) == (["ssh.service"], "6.8", "6.11")


@pytest.mark.parametrize(
    "line",
    [
        b'nanny-note {"kind": "left"}',
        b'nanny-note {"kind": "left", "name": 7}',
        b'nanny-note {"kind": "unheard-of", "name": "a"}',
        b'nanny-note {"kind": ["left"]}',
        b'nanny-note {"kind": "ended", "how": "well"}',
        b'nanny-note {"kind": "ended", "how": ["partial"]}',
        b"nanny-note {",
        b"nanny-note []",
        b"nanny-note {" + b'"a":{' * 3000,
        b' nanny-note {"kind": "conffile", "path": "/x"}',
        b'nanny-note {"kind": "conffile", "path": "' + b"x" * note.LONGEST_NOTE + b'"}',
        b"nanny-note \xff\xfe",
    ],
)
def test_what_cannot_be_read_is_passed_over(line):
    assert note.read(line + b"\n") == note.Notes()


@pytest.mark.rows("F17")
def test_what_is_not_told_is_unknown_and_not_fine():
    assert note.read(b"[]").report().reboot_required is None
    assert note.read(lines({"kind": "reboot", "required": None, "why": []})).report().reboot_required is None
    assert note.read(lines({"kind": "reboot", "required": 0})).report().reboot_required is None
    assert note.read(lines({"kind": "lock", "pid": True, "name": "x"})).lock == LockHolder(pid=0, name="x")


def test_everything_is_bounded_and_fit_for_a_terminal():
    many = lines(*({"kind": "service", "name": f"s{number}"} for number in range(1100)))
    notes = note.read(many + lines({"kind": "kernel", "running": "6\x1b[2J" + "9" * 999, "newest": ""}))
    assert len(notes.services) == 1000
    assert len(notes.kernel_running) == 255
    assert "\x1b" not in notes.kernel_running
