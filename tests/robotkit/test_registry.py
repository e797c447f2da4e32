"""Laws of plugin registration, by decorator and by entry point."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest

import robotkit as rk
from robotkit import registry as registry_module
from robotkit.drivers.fake import FakeCamera, FakeRobot
from robotkit.registry import ALL, Registry


@pytest.fixture
def cameras():
    return Registry("camera", rk.BaseCamera, {"fake": "robotkit.drivers.fake:FakeCamera"})


# A whole third-party camera.
PLUGIN = """
import numpy as np, robotkit as rk

class NoiseConfig(rk.PluginConfig):
    seed: int = 0

class NoiseCamera(rk.BaseCamera):
    Config, is_connected = NoiseConfig, False
    def __init__(self, config, context):
        super().__init__(config, context)
        self.spec = rk.CameraSpec(name=context.name, width_px=8, height_px=8)
        self.rng = np.random.default_rng(config.seed)
    def connect(self): self.is_connected = True
    def disconnect(self): self.is_connected = False
    def read(self): return rk.Frame(stamp_s=0.0, rgb=self.rng.integers(0, 255, (8, 8, 3), np.uint8))
"""


@pytest.fixture
def plugin_package(tmp_path, monkeypatch):
    """An installed distribution with entry points, as pip would leave it."""
    (tmp_path / "noise_camera.py").write_text(PLUGIN)
    (tmp_path / "noise_cell.py").write_text(
        textwrap.dedent("""
        from robotkit import PluginRef, WorkcellConfig
        NONE = None
        def config(seed: int = 3):
            camera = PluginRef(type="noise", options={"seed": seed})
            return WorkcellConfig(name="noise", robot=PluginRef(type="fake"), cameras={"front": camera})
        """)
    )
    info = tmp_path / "noise-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noise\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[robotkit.cameras]\nnoise = noise_camera:NoiseCamera\nbroken = no_such_module_at_all:Camera\n"
        "[robotkit.workcells]\nnoise-cell = noise_cell:config\nno-cell = noise_cell:no_such_attribute\n"
        "no-function = noise_cell:PluginRef\nno-module = no_such_module_at_all:config\nno-builder = noise_cell:NONE\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("noise_camera", "noise_cell"):
        sys.modules.pop(name, None)


def test_an_installed_package_brings_plugins(plugin_package, cameras):
    assert "noise" in cameras.names()
    assert "noise_camera" not in sys.modules, "names() imports nothing"
    with cameras.make("noise", seed=1) as camera:
        assert camera.read().rgb.shape == (8, 8, 3)
    with pytest.raises(rk.InvalidConfiguration, match="seed"):
        cameras.make("noise", seed="many")


def test_an_installed_package_brings_workcells(plugin_package, monkeypatch):
    fresh = Registry("camera", rk.BaseCamera)
    monkeypatch.setattr(registry_module, "cameras", fresh)
    with rk.make_workcell("noise-cell", seed=5, **{"robot.dof": 6}) as cell:
        assert cell.robot.spec.joint_count == 6
        expected = np.random.default_rng(5).integers(0, 255, (8, 8, 3), np.uint8)
        np.testing.assert_array_equal(cell.cameras["front"].read().rgb, expected)


def test_an_entry_point_without_its_module_says_so(plugin_package, cameras):
    with pytest.raises(rk.InvalidConfiguration, match="no_such_module_at_all"):
        cameras.get("broken")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-cell", "noise_cell:no_such_attribute.*cannot be loaded: AttributeError"),
        ("no-module", "there is no module 'no_such_module_at_all'"),
        ("no-builder", "registered as None; name a function"),
        ("no-function", "was built as PluginRef"),
    ],
)
def test_f12_a_workcell_that_cannot_be_built_says_so_in_a_sentence(plugin_package, name, words):
    overrides = {"type": "fake"} if name == "no-function" else {}
    with pytest.raises(rk.InvalidConfiguration, match=f"'{name}'.*{words}"):
        rk.make_workcell(name, **overrides)


def test_p19_a_folder_that_hides_a_package_is_named(tmp_path, monkeypatch, cameras):
    (tmp_path / "hidden_cameras").mkdir()
    (tmp_path / "hidden_cameras" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    cameras.register("hidden")("hidden_cameras.driver:Camera")
    with pytest.raises(rk.InvalidConfiguration, match=f"{tmp_path}/hidden_cameras: if that folder hides the installed"):
        cameras.get("hidden")


def test_a_plugin_takes_fifteen_lines():
    assert len([line for line in PLUGIN.splitlines() if line.strip()]) <= 15


def test_a_decorated_class_can_be_made(cameras):
    @cameras.register("mine")
    class Mine(FakeCamera):
        pass

    assert isinstance(cameras.make("mine", width_px=4), Mine)
    assert cameras.register("mine")(Mine) is Mine


def test_two_plugins_cannot_share_a_name(cameras):
    with pytest.raises(rk.DuplicatePlugin, match="fake"):

        @cameras.register("fake")
        class Another(FakeCamera):
            pass


def test_a_typo_gets_a_suggestion(cameras):
    with pytest.raises(rk.UnknownPlugin, match=r"Did you mean 'fake'\? Known: fake"):
        cameras.get("fakke")


def test_options_are_checked_by_the_plugin_itself(cameras):
    with pytest.raises(rk.InvalidConfiguration, match=r"width_px.*greater than 0.*hight_px.*Did you mean 'height_px'"):
        cameras.make("fake", width_px=0, hight_px=3)


def test_only_bodies_of_the_contract_are_made(cameras):
    cameras.register("wrong")(FakeRobot)
    with pytest.raises(rk.InvalidConfiguration, match="BaseCamera"):
        cameras.get("wrong")


@pytest.mark.parametrize(
    ("module", "line"),
    [("pyrealsense2", r"pip install 'robotkit\[realsense\]'"), ("acme_sdk", "pip install acme_sdk")],
)
def test_a_missing_package_names_the_pip_line(tmp_path, monkeypatch, cameras, module, line):
    (tmp_path / "needs_sdk.py").write_text(f"import {module}.core\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "needs_sdk", raising=False)
    plugins = Registry("camera", rk.BaseCamera, {"sdk": "needs_sdk:Camera"})
    with pytest.raises(rk.MissingExtra, match=line):
        plugins.get("sdk")


def test_a_plugin_that_breaks_at_import_is_named(tmp_path, monkeypatch):
    (tmp_path / "breaks.py").write_text("raise OSError('no driver')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(rk.InvalidConfiguration, match="OSError: no driver"):
        Registry("camera", rk.BaseCamera, {"bad": "breaks:Camera"}).get("bad")


def test_every_kind_has_a_fake():
    for registry in ALL:
        assert issubclass(registry.get("fake"), registry.contract)
