"""The recorded installation as an open lab, with programs in its nodes' ``bin_dirs``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nanny_ops.lab import demo_guest
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab
from nanny_ops.lab.pve.state.task import Hurried
from tests.integration.conformance.naming import RECORDED
from tests.integration.conformance.rig import build


@contextmanager
def opened(release: str, directory: Path, cache: Path, real: frozenset[int] = frozenset()) -> Iterator[Lab]:
    """Open it; its containers are simulated but for those that are ``real``."""
    rig = build(release, RECORDED)
    image = demo_guest.prepared_image(cache) if real else None
    lab = Lab(LabPlan(len(rig.cluster.nodes), 0, 0, release), directory, cache=cache, refusal_delay=0.05)
    lab.cluster.name, lab.cluster.nodes = rig.cluster.name, rig.cluster.nodes
    lab.tasks.pace = Hurried()
    lab.cluster.storages, lab.cluster.pools = rig.cluster.storages, rig.cluster.pools
    with lab:
        for guest in rig.cluster.list_guests():
            guest.real = guest.vmid in real
            lab.cluster.create(guest)
            if guest.real and image is not None:
                lab.power.container(guest.vmid).create(image, str(guest.conf["hostname"]))
            elif guest.kind == "lxc":
                demo_guest.make_simulated(lab.power.simulated(guest.vmid), str(guest.conf["hostname"]))
            if rig.cluster.power.read(guest).running:
                lab.power.start(guest)
        yield lab
