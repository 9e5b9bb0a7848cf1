"""Disks, from a copy of /sys/block."""

from nanny_ops.machine.block import devices


def make(root, name, size, **files):
    entry = root / "sys/block" / name
    entry.mkdir(parents=True)
    (entry / "size").write_text(f"{size}\n")
    for path, content in files.items():
        target = entry / path.replace("__", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def test_real_disks_with_their_names(tmp_path):
    make(
        tmp_path, "sda", 1048576000, device__model=b"Samsung SSD 860 \n", device__vpd_pg80=b"\0\x80\0\x0eS3Z9NB0K123456"
    )
    make(tmp_path, "nvme0n1", 8, device__model=b"NVMe", device__serial=b"N1  \n")
    make(tmp_path, "vda", 8, device__x=b"", serial=b"virtio-1")
    make(tmp_path, "md0", 16)
    make(tmp_path, "sr0", 4, device__model=b"DVD")
    make(tmp_path, "loop0", 8)
    make(tmp_path, "dm-0", 8)
    make(tmp_path, "sdb", 0, device__model=b"empty reader")
    found = {device["name"]: device for device in devices(tmp_path)}
    assert found["sda"] == {
        "name": "sda",
        "size": 536870912000,
        "type": "disk",
        "model": "Samsung SSD 860",
        "serial_number": "S3Z9NB0K123456",
    }
    assert found["nvme0n1"]["serial_number"] == "N1"
    assert found["vda"]["serial_number"] == "virtio-1"
    assert (found["md0"]["type"], found["sr0"]["type"]) == ("raid", "rom")
    assert set(found) == {"sda", "nvme0n1", "vda", "md0", "sr0"}


def test_no_sysfs(tmp_path):
    assert devices(tmp_path) == []
