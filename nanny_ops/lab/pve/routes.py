"""Which calls the lab answers; whatever is missing here is answered 501 as by the real API."""

from nanny_ops.lab.pve import guest, node
from nanny_ops.lab.pve.api import Route

_NODE = r"/nodes/(?P<node>[^/]+)"
_KIND = _NODE + r"/(?P<kind>lxc|qemu)"
_GUEST = _KIND + r"/(?P<vmid>[^/]+)"
_TASK = _NODE + r"/tasks/(?P<upid>[^/]+)"
_TASK_FILTERS = (
    *("limit", "start", "vmid", "errors", "source", "since", "until", "statusfilter"),
    *("typefilter", "userfilter"),
)
ROUTES = (
    Route("GET", "/version", node.version),
    Route("GET", "/cluster/status", node.cluster_status),
    Route("GET", "/cluster/resources", node.resources, ("type",)),
    Route("GET", "/access/permissions", node.permissions, ("path", "userid")),
    Route("GET", "/nodes", node.listing),
    Route("GET", _NODE + "/status", node.status),
    Route("GET", _NODE + "/version", node.version),
    Route("GET", _NODE + "/certificates/info", node.certificates),
    Route("GET", _KIND, guest.listing, ("full",)),
    Route("GET", _GUEST + "/config", guest.config, ("current", "snapshot")),
    Route("GET", _GUEST + "/status/current", guest.current),
    Route("POST", _GUEST + "/status/start", guest.start, ("skiplock", "timeout")),
    Route("POST", _GUEST + "/status/stop", guest.stop, ("skiplock", "timeout", "overrule-shutdown")),
    Route("POST", _GUEST + "/status/shutdown", guest.shutdown, ("timeout", "forceStop")),
    Route("GET", "/cluster/tasks", node.cluster_tasks),
    Route("GET", _NODE + "/tasks", node.task_list, _TASK_FILTERS, whole=True),
    Route("GET", _TASK, node.task_index),
    Route("DELETE", _TASK, node.task_abort),
    Route("GET", _TASK + "/status", node.task_status),
    Route("GET", _TASK + "/log", node.task_log, ("limit", "start"), whole=True),
)
