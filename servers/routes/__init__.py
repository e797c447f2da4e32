"""The routes, in one file for each topic."""

from fastapi import APIRouter

from servers.routes import (
    cameras,
    cell,
    control,
    dashboard,
    gripper,
    health,
    heartbeat,
    metrics,
    protocol,
    robot,
    serl,
    stream,
    trackers,
)

# In the order in which they are tried.
ROUTERS: tuple[APIRouter, ...] = tuple(
    module.router
    for module in (
        cell,
        robot,
        gripper,
        cameras,
        trackers,
        protocol,
        control,
        heartbeat,
        stream,
        health,
        metrics,
        dashboard,
        serl,
    )
)
