"""Serve a policy of LeRobot, from LeRobot's own environment: `python -m examples.base_server.lerobot_server --help`.

It needs LeRobot 0.4.4 or newer, msgpack and websockets, and of this project its folder alone.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from examples.base_server.protocol import Act, PolicyServer, one_at_a_time

Names = Mapping[str, Sequence[str]]
"""The arrays of an observation that make up each input of a policy, in order."""


def parse_names(words: Sequence[str]) -> dict[str, list[str]]:
    """The names of `array=input` words; several arrays of one input are joined."""
    names: dict[str, list[str]] = {}
    for word in words:
        array, equals, wanted = word.partition("=")
        if not (array and equals and wanted):
            raise argparse.ArgumentTypeError(f"{word!r} is no ARRAY=INPUT, such as state=observation.state")
        names.setdefault(wanted, []).append(array)
    return names


def renamed(sent: Mapping[str, Any], names: Names) -> dict[str, np.ndarray]:
    """The inputs of a policy out of an observation: images (H, W, C) as they are, numbers as one float32 vector.

    Raises:
        KeyError: the observation lacks an array.
    """
    if missing := [array for arrays in names.values() for array in arrays if array not in sent]:
        raise KeyError(f"the observation has {', '.join(sorted(sent))}, and no {', '.join(missing)}: see --names")
    inputs = {}
    for wanted, arrays in names.items():
        parts = [np.asarray(sent[array]) for array in arrays]
        is_image = parts[0].dtype == np.uint8 and parts[0].ndim == 3
        inputs[wanted] = parts[0] if is_image else np.concatenate([part.ravel() for part in parts]).astype(np.float32)
    return inputs


def make_server(directory: Path, names: Names, device: str) -> PolicyServer:
    """A server of the policy that LeRobot has saved in a directory."""
    import torch
    from lerobot.configs.policies import PreTrainedConfig  # type: ignore[import-not-found]
    from lerobot.policies.factory import (  # type: ignore[import-not-found]
        get_policy_class,
        make_pre_post_processors,
    )
    from lerobot.policies.utils import prepare_observation_for_inference  # type: ignore[import-not-found]

    config = PreTrainedConfig.from_pretrained(directory)
    config.device = device
    policy = get_policy_class(config.type).from_pretrained(directory, config=config)
    overrides = {"device_processor": {"device": device}}
    before, after = make_pre_post_processors(config, str(directory), preprocessor_overrides=overrides)

    @torch.inference_mode()
    def act(sent: Mapping[str, Any]) -> np.ndarray:
        inputs = prepare_observation_for_inference(renamed(sent, names), torch.device(device), sent.get("prompt"))
        action: np.ndarray = after(policy.select_action(before(inputs))).float().cpu().numpy()
        return action.reshape(1, -1)

    def begin() -> Act:
        policy.reset()
        return act

    weights = hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    return PolicyServer(one_at_a_time(begin), {"policy": str(directory), "sha256": weights})


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, required=True, help="directory with config.json and model.safetensors")
    parser.add_argument("--names", nargs="+", required=True, metavar="ARRAY=INPUT", help="inputs of the policy")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    make_server(asked.policy, parse_names(asked.names), asked.device).serve(asked.host, asked.port)


if __name__ == "__main__":
    main()
