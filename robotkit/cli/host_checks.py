"""Checks of the machine: kernel, processor, input devices, ports."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from robotkit.cli.finding import Finding

_REALTIME = Path("/sys/kernel/realtime")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_DEV = Path("/dev")
_UDEV_RULE = 'KERNEL=="hidraw*", SUBSYSTEM=="hidraw", MODE="0660", GROUP="plugdev"'


def findings(port: int) -> Iterator[Finding]:
    """Return all findings of this file."""
    yield cores()
    yield governor(_GOVERNOR)
    yield realtime_kernel(_REALTIME)
    yield hid_access(_DEV)
    yield free_port(port)


def cores() -> Finding:
    """Check the number of cores that this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count < 2:
        fix = "give this machine a second core: an actor and a learner want one each"
        return Finding("CPU cores", "warning", str(count), fix)
    return Finding("CPU cores", "ok", str(count))


def governor(path: Path) -> Finding:
    """Check whether the processor slows down when it is idle."""
    if not path.exists():
        return Finding("CPU governor", "ok", "not adjustable here")
    name = path.read_text().strip()
    if name == "performance":
        return Finding("CPU governor", "ok", name)
    fix = "only for real robots: sudo cpupower frequency-set -g performance"
    return Finding("CPU governor", "warning", f"{name}: late control cycles are more likely", fix)


def realtime_kernel(path: Path) -> Finding:
    """Check whether this is a PREEMPT_RT kernel."""
    if path.exists() and path.read_text().strip() == "1":
        return Finding("real-time kernel", "ok", "PREEMPT_RT")
    fix = "only for a PC that drives a Franka arm: install a PREEMPT_RT kernel (Ubuntu: pro enable realtime-kernel)"
    return Finding("real-time kernel", "warning", "no: a real arm may miss control cycles", fix)


def hid_access(dev: Path) -> Finding:
    """Check whether this user may read HID devices such as a SpaceMouse."""
    devices = sorted(dev.glob("hidraw*"))
    if not devices:
        return Finding("HID", "ok", "no HID device is plugged in")
    closed = [device.name for device in devices if not os.access(device, os.R_OK)]
    if not closed:
        return Finding("HID", "ok", f"{len(devices)} devices are readable")
    fix = f"put the line {_UDEV_RULE} into /etc/udev/rules.d/99-hidraw.rules, join the group plugdev, and replug"
    return Finding("HID", "warning", f"no right to read {', '.join(closed)}", fix)


def free_port(port: int) -> Finding:
    """Check whether the robot server can listen."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            fix = "stop the other program, or give the server another port: --port"
            return Finding(f"port {port}", "warning", f"cannot be used: {error.strerror}", fix)
    return Finding(f"port {port}", "ok", "free")
