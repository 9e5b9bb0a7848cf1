"""Whether the control plane lives, is ready, and what it counts."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nanny_ops import __version__
from nanny_ops.control.api.state import Control, State
from nanny_ops.control.store import health as store
from nanny_ops.errors import NannyError
from nanny_ops.protocol.clock import stamp

router = APIRouter(tags=["health"])
#: Seconds one check may take.
PATIENCE = 2.0
RETRY = {"Retry-After": "5"}


@router.get("/health", responses={503: {"description": "Starting or draining; see Retry-After"}})
async def health(control: Control) -> JSONResponse:
    """Tell whether requests are served; no sign-in."""
    ready = control.phase == "ready"
    body = {
        "status": "healthy" if ready else control.phase,
        "timestamp": stamp(control.clock()),
        "version": __version__,
    }
    return JSONResponse(body, 200 if ready else 503, headers=None if ready else RETRY)


@router.get("/health/ready", responses={503: {"description": "Something required is missing; see checks"}})
async def ready(control: Control) -> JSONResponse:
    """Tell whether everything that is required answers; each check has two seconds."""
    checks: dict[str, Any] = {
        "database": await _database(control),
        "event_log": "following" if control.phase == "ready" else control.phase,
        "redis": "not_configured",
        "clickhouse": "not_configured",
    }
    fine = control.phase == "ready" and checks["database"] == "connected"
    return JSONResponse({"ready": fine, "checks": checks}, 200 if fine else 503, headers=None if fine else RETRY)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(control: Control) -> Response:
    """Count what this process does, for Prometheus; no names of things in it."""
    control.counts.streams.set(len(control.streams))
    return Response(generate_latest(control.counts.registry), media_type=CONTENT_TYPE_LATEST)


async def _database(control: State) -> str:
    try:
        await asyncio.wait_for(control.database.read(store.ping), PATIENCE)
    except (NannyError, TimeoutError, OSError):
        return "unreachable"
    return "connected"
