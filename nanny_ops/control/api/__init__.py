"""The HTTP edge: parse, authorise, call one service, render. One file per noun."""

from fastapi import APIRouter

from nanny_ops.control.api import (
    agent,
    audit,
    enrollment,
    event,
    exposition,
    fleet,
    health,
    history,
    inventory,
    investigation,
    legacy,
    metrics,
    operation,
    output,
    package,
    package_exception,
    patch,
    patch_batch,
    proxmox,
    realtime,
    reboot,
    release,
    result,
    script,
    signature,
    token,
    update,
    user,
)

#: Every router; a house test compares this tuple with the folder.
ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    user.router,
    enrollment.router,
    token.router,
    audit.router,
    realtime.router,
    operation.router,
    patch.router,
    patch_batch.router,
    script.router,
    signature.router,
    result.router,
    legacy.router,
    reboot.router,
    output.router,
    investigation.router,
    metrics.router,
    agent.router,
    inventory.router,
    event.router,
    fleet.router,
    history.router,
    exposition.router,
    proxmox.router,
    package.router,
    release.router,
    update.router,
    package_exception.router,
)

#: Endpoints of hot paths, called before any router; each is documented by one of them.
DIRECT = {
    ("POST", "/api/agent"): metrics.ingest_directly,
    ("GET", "/api/realtime"): realtime.open_directly,
    ("POST", "/api/patches"): patch.place_directly,
}
