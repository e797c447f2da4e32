"""SERL's weights mean the same after the conversion, and files of others are refused with a way out."""

import hashlib
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac import SACAgent
from rl.agents.continuous.sac_config import SacConfig
from rl.cli import main
from rl.common.encoders import EncoderConfig, frozen_trunk, load_trunk, make_encoder
from rl.config import TrainConfig, load_config
from rl.errors import CheckpointError
from rl.interop.convert import ConvertedAgent, ConvertedTrunk, convert
from rl.interop.flax_files import checkpoint_file, read_flax_file
from rl.nn.flax_params import flatten, to_flax_params
from rl.nn.layers import materialise
from rl.utils.checkpoint import Checkpoints
from tests.golden.serl import Fixture, fixtures
from tests.rl.interop.foreign import flax_bytes, jax_pickle, nested, train_state

SMALL = SacConfig(critic_ensemble_size=3, hidden_dims=(8, 6))


def golden(name: str) -> Fixture:
    return next(fixture for fixture in fixtures() if fixture.name == name)


def small_params(seed: int, observation_dim: int = 3, action_dim: int = 1) -> dict[str, np.ndarray]:
    return to_flax_params(SACAgent.create_states(observation_dim, action_dim, SMALL, seed=seed).state.modules)


def save(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def agent_of(made: ConvertedTrunk | ConvertedAgent) -> SACAgent:
    """The agent that the run's directory describes, as `evaluate` makes it."""
    assert isinstance(made, ConvertedAgent)
    config = load_config(made.directory / "config.json")
    _, state = Checkpoints(made.directory / "checkpoints").load()
    agent = SACAgent.create_states(made.observation_dim, made.action_dim, config.agent)
    agent.load_state_dict(state["agent"])
    return agent


def test_a_recorded_agent_of_serl_acts_the_same(tmp_path: Path):
    fixture = golden("sac_full_forward")
    source = save(tmp_path / "checkpoint_70", flax_bytes(train_state(fixture.params, 70)))
    made = convert(source, tmp_path / "run", TrainConfig(agent=DrqConfig()))
    agent = agent_of(made)
    assert isinstance(made, ConvertedAgent)
    assert made.config.agent_name == "sac", "whatever the settings came from, this agent learns from states"
    assert (made.updates, made.observation_dim, made.action_dim) == (70, 10, 4)
    given = fixture.tensors("in")
    fixture.assert_close(agent.sample_actions(given["obs"].numpy(), argmax=True), "out/mode")
    fixture.assert_close(agent.state.modules["critic"](given["obs"], given["actions"]), "out/q")


@pytest.mark.parametrize("layers", [(8, 6), (5,), (4, 4, 4)])
@pytest.mark.parametrize("use_layer_norm", [True, False])
def test_sizes_are_read_off_the_parameters(tmp_path: Path, layers: tuple[int, ...], use_layer_norm: bool):
    config = SacConfig(
        critic_ensemble_size=1, critic_subsample_size=None, hidden_dims=layers, use_layer_norm=use_layer_norm
    )
    params, targets = (to_flax_params(SACAgent.create_states(7, 2, config, seed=seed).state.modules) for seed in (1, 2))
    made = convert(save(tmp_path / "c", flax_bytes(train_state(params, 3, targets))), tmp_path / "run", TrainConfig())
    state = agent_of(made).state
    np.testing.assert_equal(to_flax_params(state.modules), params)
    np.testing.assert_equal(to_flax_params(state.targets), targets)
    assert isinstance(made, ConvertedAgent)
    assert made.updates == 3
    assert made.config.agent.hidden_dims == layers


@pytest.mark.parametrize("shape", ["file", "newest of a directory", "orbax", "state inside", "parameters alone"])
def test_every_shape_of_checkpoint_is_found(tmp_path: Path, shape: str):
    params, others = small_params(1), small_params(2)
    state, content = train_state(params, 20), flax_bytes(train_state(params, 20))
    if shape == "newest of a directory":
        for step, found in ((9, others), (20, params), (10, others)):
            save(tmp_path / "runs" / f"checkpoint_{step}", flax_bytes(train_state(found, step)))
    elif shape == "orbax":
        save(tmp_path / "runs" / "checkpoint_20" / "checkpoint", content)
    else:
        inner = {"file": state, "state inside": {"state": state, "config": {}}, "parameters alone": nested(params)}
        save(tmp_path / "runs" / "checkpoint_20", flax_bytes(inner[shape]))
    made = convert(tmp_path / "runs", tmp_path / "run", TrainConfig())
    np.testing.assert_equal(to_flax_params(agent_of(made).state.modules), params)
    assert isinstance(made, ConvertedAgent)
    assert made.updates == 20


def test_eval_measures_a_converted_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save(tmp_path / "serl" / "checkpoint_5", flax_bytes(train_state(small_params(1), 5)))
    run = str(tmp_path / "run")
    main(["convert", str(tmp_path / "serl"), "--out", run, "--env", "Pendulum-v1"])
    assert "3 numbers in, 1 out" in " ".join(capsys.readouterr().out.split())
    main(["evaluate", "--out", run, "--episodes", "1"])
    assert "checkpoint after 5 updates" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["convert", str(tmp_path / "serl"), "--out", str(tmp_path / "x"), "--env", "MountainCarContinuous-v0"])
    assert "takes 3 numbers and gives 1; MountainCarContinuous-v0 has 2" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_the_public_resnet_sees_the_same_after_the_conversion(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """S26: a pickle of jax arrays, downloaded and run unverified by the original; with ImageNet's head beside it."""
    fixture = golden("resnet10_full64_prepool_64")
    tree = nested(fixture.params) | {"output_head": {"kernel": np.zeros((512, 10), np.float32)}}
    source, out = save(tmp_path / "resnet10_params.pkl", jax_pickle(tree)), tmp_path / "resnet10.safetensors"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    with pytest.raises(CheckpointError, match="download it again"):
        convert(source, out, TrainConfig(), "0" * 64)
    main(["convert", str(source), "--out", str(out), "--sha256", digest.upper()])
    printed = capsys.readouterr().out
    assert "left out: output_head/kernel" in " ".join(printed.split())
    config = EncoderConfig(
        "resnet-pretrained", ("front",), False, pretrained_path=str(out), pretrained_sha256=printed.split()[-1]
    )
    images = fixture.tensors("in")["0"]
    encoder = materialise(make_encoder(config), {"front": images[:, None]})
    trunk = frozen_trunk(encoder)
    assert trunk is not None
    load_trunk(trunk, config)
    with torch.no_grad():
        fixture.assert_close(trunk(images), "out")


def test_a_resnet_that_does_not_fit_is_named(tmp_path: Path):
    params = golden("resnet10_full64_prepool_64").params
    short = {path: value for path, value in params.items() if path != "norm_init/scale"}
    source = save(tmp_path / "short.pkl", jax_pickle(nested(short)))
    with pytest.raises(CheckpointError, match="missing norm_init/scale"):
        convert(source, tmp_path / "out.safetensors", TrainConfig())
    with pytest.raises(CheckpointError, match="change --out"):
        convert(source, tmp_path / "out.pt", TrainConfig())
    assert list(tmp_path.iterdir()) == [source]


def test_half_precision_becomes_float32():
    values = np.array([1.5, -2.0, 3.0e38, 0.0], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    array = msgpack.ExtType(1, msgpack.packb(((2, 2), "bfloat16", halves.tobytes()), use_bin_type=True))
    content = msgpack.packb({"a": array, "b": msgpack.ExtType(3, msgpack.packb(((), "int64", bytes(8))))})
    path = Path(__file__).with_name("unused")
    tree = _read(content, path)
    np.testing.assert_allclose(tree["a"].reshape(-1), values, rtol=2**-7)
    assert tree["a"].dtype == np.float32
    assert tree["b"] == 0


def _read(content: bytes, path: Path) -> dict[str, Any]:
    class Content(type(path)):  # a path whose content is given
        def read_bytes(self) -> bytes:
            return content

    return read_flax_file(Content(path))


def pixels() -> bytes:
    return flax_bytes(
        train_state({"modules_actor/encoder/encoder_front/x": np.zeros(1), "modules_critic/y": np.zeros(1)}, 1)
    )


def array(*fields: Any) -> bytes:
    return msgpack.packb({"params": msgpack.ExtType(1, msgpack.packb(fields, use_bin_type=True))})


REFUSED = {
    "sees images": pixels,
    "has modules_actor, modules_critic, modules_grasp_critic": lambda: flax_bytes(
        train_state(small_params(1) | {"modules_grasp_critic/x": np.zeros(1)}, 1)
    ),
    "not built as an agent of SERL": lambda: flax_bytes(
        train_state({path: value for path, value in small_params(1).items() if "critic/Dense_0" not in path}, 1)
    ),
    "missing modules_critic/Dense_0/kernel": lambda: flax_bytes(
        train_state({p: v for p, v in small_params(1).items() if p != "modules_critic/Dense_0/kernel"}, 1)
    ),
    "neither a ResNet-10": lambda: flax_bytes({"params": {"Dense_0": {"kernel": np.zeros(2)}}}),
    "Orbax keeps the array kernel": lambda: flax_bytes(
        {"params": {"modules_actor": {"kernel": "PLACEHOLDER://params.modules_actor.kernel"}}}
    ),
    "arrays of object": lambda: array((1,), "object", bytes(8)),
    "does not fit into 8 bytes": lambda: array((1 << 40,), "float32", bytes(8)),
    "extension 7": lambda: msgpack.packb({"a": msgpack.ExtType(7, b"")}),
    "neither a pickle nor msgpack": lambda: b"PK\x03\x04" + bytes(20),
    "names posix.system": lambda: b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    "no tree of parameters": lambda: msgpack.packb([1, 2]),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_other_files_are_refused_and_nothing_is_written(tmp_path: Path, reason: str):
    source = save(tmp_path / "source", REFUSED[reason]())
    with pytest.raises(CheckpointError, match=reason):
        convert(source, tmp_path / "run", TrainConfig())
    assert list(tmp_path.iterdir()) == [source]


def test_directories_of_orbax_say_what_to_do(tmp_path: Path):
    save(tmp_path / "checkpoint_3" / "_METADATA", b"{}")
    with pytest.raises(CheckpointError, match=r"flax\.serialization\.to_bytes"):
        checkpoint_file(tmp_path)
    for path in (tmp_path / "nothing", tmp_path / "checkpoint_3" / "_METADATA" / "x"):
        with pytest.raises(CheckpointError, match="no file or directory"):
            checkpoint_file(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no checkpoint_N"):
        checkpoint_file(tmp_path / "empty")


def test_nothing_is_overwritten(tmp_path: Path):
    source = save(tmp_path / "source", flax_bytes(train_state(small_params(1), 1)))
    convert(source, tmp_path / "run", TrainConfig())
    with pytest.raises(CheckpointError, match="exists already"):
        convert(source, tmp_path / "run", TrainConfig())


def test_the_written_tree_is_what_flax_would_read():
    """The writer of these tests against the reader, leaf by leaf."""
    tree = train_state(small_params(1), 8)
    found = flatten(_read(flax_bytes(tree), Path("x")))
    np.testing.assert_equal(found, flatten(tree))
