"""`Metrics`: counters and the arm's state in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from robotkit.schema import RobotState
from robotkit.workcell import Workcell
from servers.audit import AuditLog
from servers.events import Event
from servers.lease import ControlLease

_MODES = ("holding", "tracking", "travelling", "stopped", "fault")
_COMMAND_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class MeasuredServer(Protocol):
    """The objects from which the metrics are read."""

    workcell: Workcell
    lease: ControlLease
    audit: AuditLog | None
    serl_clear_requests: int


class Metrics:
    """An observer of `EventHub`."""

    def __init__(self, context: MeasuredServer) -> None:
        self._context = context
        self._registry = CollectorRegistry()
        self._events = Counter("robotkit_events", "What the audit log counts.", ["event"], registry=self._registry)
        self._refusals = Counter("robotkit_refusals", "Refused commands.", ["code"], registry=self._registry)
        self.command_s = Histogram(
            "robotkit_command_seconds",
            "Time from the turn of a command to its answer, control period included.",
            buckets=_COMMAND_BUCKETS_S,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def __call__(self, event: Event) -> None:
        """Count the event."""
        self._events.labels(event.kind).inc()
        if event.kind in ("refused", "unauthorized"):
            self._refusals.labels(event.code).inc()

    def text(self, state: RobotState | None) -> bytes:
        """Return everything in Prometheus' text format.

        Args:
            state: the arm's; None: it cannot be measured, which `robotkit_up` says.
        """
        cell = CollectorRegistry()
        cell.register(_CellCollector(self._context, state))
        return generate_latest(cell) + generate_latest(self._registry)


class _CellCollector(Collector):
    """The cell at one scrape; what cannot be measured is left out, and `robotkit_up` is 0."""

    def __init__(self, context: MeasuredServer, state: RobotState | None) -> None:
        self._context, self._state = context, state

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering it collects nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The arm's state and who commands."""
        context, state = self._context, self._state
        yield _gauge("robotkit_controlled", "1 while a client has control.", float(context.lease.holder is not None))
        lost = context.audit.lost if context.audit is not None else 0
        yield _gauge("robotkit_audit_lost_lines", "Events that the audit log could not write.", float(lost))
        yield _gauge("robotkit_serl_clear_requests", "How often SERL's clearerr was asked for.",
                     float(context.serl_clear_requests))  # fmt: skip
        if state is None:
            yield _gauge("robotkit_up", "1 when the arm can be measured.", 0.0)
            return
        yield _gauge("robotkit_up", "1 when the arm can be measured.", 1.0)
        mode = GaugeMetricFamily("robotkit_robot_mode", "1 for the arm's mode.", labels=["mode"])
        for name in _MODES:
            mode.add_metric([name], float(state.mode == name))
        yield mode
        age_s = context.workcell.clock.now_s() - state.stamp_s
        yield _gauge("robotkit_state_age_seconds", "Age of the newest measurement.", age_s)
        yield _gauge("robotkit_control_success_ratio", "Control cycles served in time.", state.control_success_rate)
        force, torque = state.wrench_in_tcp[:3], state.wrench_in_tcp[3:]
        yield _gauge("robotkit_tool_force_newtons", "Force on the tool.", float(np.linalg.norm(force)))
        yield _gauge("robotkit_tool_torque_newton_meters", "Torque on the tool.", float(np.linalg.norm(torque)))
        speed_m_s = float(np.linalg.norm(state.tcp_twist_in_base[:3]))
        yield _gauge("robotkit_tool_speed_meters_per_second", "Speed of the tool.", speed_m_s)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value)
