"""The HTTP edge: parse, authorise, call one service, render. One file per noun."""

from fastapi import APIRouter

from nanny_ops.control.api import agent, enrollment, health, metrics, operation, realtime, user

#: Every router; a house test compares this tuple with the folder.
ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    user.router,
    enrollment.router,
    realtime.router,
    operation.router,
    metrics.router,
    agent.router,
)
