"""Start a real container in a machine: the lab's directory, the image, and the container's number."""

import sys
from pathlib import Path

from nanny_ops.lab.lxc import Container

lab, image, vmid = sys.argv[1:]
container = Container(f"lab-{vmid}", Path(lab) / "lxc")
container.create(Path(image), f"ct{vmid}")
container.start()
