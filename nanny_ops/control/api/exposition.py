"""The fleet for Prometheus."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from prometheus_client import CONTENT_TYPE_LATEST

from nanny_ops.control.api.state import AsPerson, Control
from nanny_ops.control.services import fleet
from nanny_ops.control.services.exposition import exposition
from nanny_ops.control.store.breaker import open_nodes

router = APIRouter(prefix="/api/proxmox", tags=["proxmox"])
TEXT = {"content": {"text/plain": {}}, "description": "The text format of Prometheus"}


@router.get(
    "/metrics", response_class=Response, responses={200: TEXT, 404: {"description": "No such cluster in your teams"}}
)
async def metrics(
    who: AsPerson,
    control: Control,
    cluster: Annotated[str, Query(max_length=255, description="Only this cluster: id or name")] = "",
) -> Response:
    """Tell clusters, nodes, guests and storages to Prometheus, named as prometheus-pve-exporter names them.

    It needs a token with the scope read, since it names things; ``/metrics`` counts what this process does.
    """
    now = control.clock()
    text = await control.database.read(
        lambda tx: exposition(fleet.everything(tx, who, cluster, now), open_nodes(tx, who.teams))
    )
    return Response(text, media_type=CONTENT_TYPE_LATEST)
