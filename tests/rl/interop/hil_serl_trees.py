"""Parameter trees as HIL-SERL's agents have them, written out by hand: names and shapes of its Flax modules.

From `serl_launcher` of rail-berkeley/hil-serl: `agents/continuous/sac.py`, `sac_hybrid_single.py`, `sac_hybrid_dual.py`
(`create_pixels`), `common/encoding.py`, `vision/resnet_v1.py`, `networks/actor_critic_nets.py` and `networks/mlp.py`.
"""

from __future__ import annotations

import numpy as np

from tests.golden.serl import recipe_fill

Shapes = dict[str, tuple[int, ...]]

BOTTLENECK, LATENT, BLOCKS, HIDDEN, GRASP = 12, 6, 2, (10, 8), (9, 7)
"""Widths: smaller than HIL-SERL's 256, 64, 8, (256, 256) and (256, 256), and all different."""


def dense(scope: str, rows: int, columns: int) -> Shapes:
    return {f"{scope}/kernel": (rows, columns), f"{scope}/bias": (columns,)}


def norm(scope: str, width: int) -> Shapes:
    return {f"{scope}/scale": (width,), f"{scope}/bias": (width,)}


def trunk(scope: str) -> Shapes:
    """The frozen ResNet-10."""
    shapes = {f"{scope}/conv_init/kernel": (7, 7, 3, 64), **norm(f"{scope}/norm_init", 64)}
    for index, (before, after) in enumerate(((64, 64), (64, 128), (128, 256), (256, 512))):
        block = f"{scope}/ResNetBlock_{index}"
        shapes |= {f"{block}/Conv_0/kernel": (3, 3, before, after), **norm(f"{block}/MyGroupNorm_0", after)}
        shapes |= {f"{block}/Conv_1/kernel": (3, 3, after, after), **norm(f"{block}/MyGroupNorm_1", after)}
        if index:
            shapes |= {f"{block}/conv_proj/kernel": (1, 1, before, after), **norm(f"{block}/norm_proj", after)}
    return shapes


def mlp(scope: str, rows: int, widths: tuple[int, ...], *, activate_final: bool = True) -> Shapes:
    shapes: Shapes = {}
    for index, width in enumerate(widths):
        shapes |= dense(f"{scope}/Dense_{index}", rows, width)
        if activate_final or index + 1 < len(widths):
            shapes |= norm(f"{scope}/LayerNorm_{index}", width)
        rows = width
    return shapes


def stacked(shapes: Shapes, members: int) -> Shapes:
    """An ensemble of the module, inside the module that `ensemblize` makes."""
    return {path.replace("/network/", "/network/VmapMLP_0/"): (members, *shape) for path, shape in shapes.items()}


def agent_shapes(
    cameras: tuple[str, ...], state: int, action: int, arms: int = 0, members: int = 2, side: int = 1
) -> Shapes:
    """An agent on these cameras, whose feature maps have this side; `arms` 0 is the agent without a grasp critic."""
    encoder = "modules_actor/encoder"
    shapes = trunk(f"{encoder}/encoder_{cameras[0]}/pretrained_encoder")
    for camera in cameras:
        scope = f"{encoder}/encoder_{camera}"
        shapes |= {f"{scope}/SpatialLearnedEmbeddings_0/kernel": (side, side, 512, BLOCKS)}
        shapes |= dense(f"{scope}/Dense_0", 512 * BLOCKS, BOTTLENECK) | norm(f"{scope}/LayerNorm_0", BOTTLENECK)
    shapes |= dense(f"{encoder}/Dense_0", state, LATENT) | norm(f"{encoder}/LayerNorm_0", LATENT)
    features, continuous = len(cameras) * BOTTLENECK + LATENT, action - arms
    shapes |= mlp("modules_actor/network", features, HIDDEN)
    shapes |= dense("modules_actor/Dense_0", HIDDEN[-1], continuous) | dense(
        "modules_actor/Dense_1", HIDDEN[-1], continuous
    )
    shapes |= stacked(mlp("modules_critic/network", features + continuous, HIDDEN), members)
    shapes |= dense("modules_critic/Dense_0", HIDDEN[-1], 1)
    if arms:
        # `create_pixels` sets `activate_final` for the policy and the critic alone.
        shapes |= mlp("modules_grasp_critic/network", features, GRASP, activate_final=False)
        shapes |= dense("modules_grasp_critic/Dense_0", GRASP[-1], 3**arms)
    return shapes | {"modules_temperature/lagrange": ()}


def filled(shapes: Shapes, seed: int = 0) -> dict[str, np.ndarray]:
    return {path: recipe_fill(path, shape, seed) for path, shape in shapes.items()}
