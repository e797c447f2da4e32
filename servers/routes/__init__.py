"""The routes, one file a topic."""

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

ROUTERS: tuple[APIRouter, ...] = tuple(
    module.router
    for module in (
        protocol,
        cell,
        robot,
        gripper,
        cameras,
        trackers,
        control,
        heartbeat,
        stream,
        health,
        metrics,
        dashboard,
        serl,
    )
)
