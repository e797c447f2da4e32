"""Targets in the manifest that no adapter covers yet, each with its reason."""

PENDING: dict[str, str] = {
    "franka_sim PandaPickCube-v0 + FlattenObservation": "another physics version: envs has its own tests",
}
