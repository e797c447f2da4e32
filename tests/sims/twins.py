"""Numpy twins of the compiled laws, written from the equations: slow, short and easy to check."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation, Slerp


@dataclass
class Plant:
    """What a law sees of the arm."""

    q: np.ndarray
    dq: np.ndarray
    J: np.ndarray
    M: np.ndarray
    bias: np.ndarray
    position: np.ndarray
    rotation: Rotation


def random_plant(rng: np.random.Generator) -> Plant:
    root = rng.normal(size=(7, 7))
    return Plant(
        q=rng.uniform(-1.5, 1.5, 7),
        dq=rng.normal(size=7),
        J=rng.normal(size=(6, 7)),
        M=root @ root.T + np.eye(7),
        bias=10.0 * rng.normal(size=7),
        position=rng.uniform(-0.5, 0.5, 3),
        rotation=Rotation.random(random_state=rng),
    )


def operational_space(plant: Plant, position, rotation, rest, kp, kd, null_kp, null_kd) -> np.ndarray:
    error = np.concatenate((plant.position - position, (plant.rotation * rotation.inv()).as_rotvec()))
    acceleration = -kp * error - kd * (plant.J @ plant.dq)
    mobility = plant.J @ np.linalg.inv(plant.M) @ plant.J.T
    is_singular = np.linalg.det(mobility) < 1e-2
    task_inertia = np.linalg.pinv(mobility, rcond=1e-2) if is_singular else np.linalg.inv(mobility)
    null = -null_kp * (plant.q - rest) - null_kd * plant.dq
    inverse = np.linalg.inv(plant.M) @ plant.J.T @ task_inertia
    return plant.J.T @ task_inertia @ acceleration + (np.eye(7) - plant.J.T @ inverse.T) @ null + plant.bias


@dataclass
class Impedance:
    """Parameters and memory of SERL's impedance law at 1 kHz."""

    stiffness: np.ndarray
    damping: np.ndarray
    ki: np.ndarray
    null_stiffness: float
    joint1_factor: float
    clip_min: np.ndarray
    clip_max: np.ndarray
    position: np.ndarray
    rotation: Rotation
    rest: np.ndarray
    torque: np.ndarray = field(default_factory=lambda: np.zeros(7))
    integral: np.ndarray = field(default_factory=lambda: np.zeros(6))

    def step(self, plant: Plant, target_position, target_rotation) -> np.ndarray:
        error = self._error(plant)
        limits = np.repeat((0.1, 0.3), 3)
        self.integral = np.clip(self.integral + error, -limits, limits)
        wrench = -self.stiffness * error - self.damping * (plant.J @ plant.dq) - self.ki * self.integral
        pseudo_inverse = np.linalg.solve(plant.J @ plant.J.T + 0.04 * np.eye(6), plant.J)
        wanted = plant.J.T @ wrench + (np.eye(7) - plant.J.T @ pseudo_inverse) @ self._null(plant)
        self.torque = self.torque + np.clip(wanted - self.torque, -1.0, 1.0)
        self.position = 0.005 * target_position + 0.995 * self.position
        both = Rotation.concatenate([self.rotation, target_rotation])
        self.rotation = Slerp([0.0, 1.0], both)(0.005)
        return self.torque + plant.bias

    def _error(self, plant: Plant) -> np.ndarray:
        turn = (plant.rotation.inv() * self.rotation).as_quat(canonical=True)
        error = np.concatenate((plant.position - self.position, -plant.rotation.apply(turn[:3])))
        return np.clip(error, self.clip_min, self.clip_max)

    def _null(self, plant: Plant) -> np.ndarray:
        pull, speed = self.rest - plant.q, plant.dq.copy()
        pull[0] *= self.joint1_factor
        speed[0] *= 2.0 * np.sqrt(self.joint1_factor)
        return self.null_stiffness * pull - 2.0 * np.sqrt(self.null_stiffness) * speed
