"""The table of ``qm list``."""

from nanny_ops.lab.qm import GIB, listing


def test_the_table_has_the_real_ones_columns() -> None:
    rows = [
        {"vmid": 203, "name": "alpine-vm", "status": "running", "maxmem": 256 << 20, "maxdisk": GIB, "pid": 6926},
        {"vmid": 200, "name": "win-vm", "status": "stopped", "maxmem": 2048 << 20, "maxdisk": GIB},
    ]
    assert listing(rows).splitlines() == [
        "      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID       ",
        "       200 win-vm               stopped    2048               1.00 0         ",
        "       203 alpine-vm            running    256                1.00 6926      ",
    ]


def test_without_machines_there_is_no_table() -> None:
    assert listing([]) == ""
