"""The calls about Ceph. Recorded is only that it is not installed; its state goes by the schema."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.ceph import Ceph


def status(api: Api, _call: Call) -> Any:
    """Answer with how Ceph stands. Raises Refusal where there is none."""
    ceph = api.cluster.ceph
    if ceph is None:
        raise Refusal(500, "binary not installed: /usr/bin/ceph-mon")
    monitors = list(ceph.monitors or api.cluster.nodes)
    return {
        "fsid": ceph.fsid,
        "health": {"status": ceph.health, "checks": _checks(ceph), "mutes": []},
        "quorum_names": monitors,
        "monmap": {"fsid": ceph.fsid, "mons": [{"name": name, "rank": n} for n, name in enumerate(monitors)]},
        "osdmap": {"num_osds": ceph.osds, "num_up_osds": ceph.osds_up, "num_in_osds": ceph.osds_in},
        "pgmap": {
            "num_pgs": ceph.placement_groups,
            "pgs_by_state": [{"state_name": "active+clean", "count": ceph.placement_groups}],
            "bytes_total": ceph.total,
            "bytes_used": ceph.used,
            "bytes_avail": ceph.total - ceph.used,
        },
    }


def _checks(ceph: Ceph) -> Row:
    return {
        name: {"severity": ceph.health, "summary": {"message": text, "count": 1}, "detail": []}
        for name, text in ceph.checks.items()
    }


ROUTES = (Route("GET", "/cluster/ceph/status", status), Route("GET", "/nodes/{node}/ceph/status", status))
