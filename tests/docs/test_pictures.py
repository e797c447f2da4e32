"""Laws of the pictures in the documentation: each is shown somewhere, none is heavy, and every task has one."""

from __future__ import annotations

import re

import imageio.v3 as imageio
import pytest

from envs.registration import DUAL_TABLE, TABLE
from tests.docs.generators import task_pictures
from tests.docs.pages import PAGES, ROOT
from tests.test_architecture import ALLOWED

IMAGES = ROOT / "docs" / "images"
PICTURES = sorted(path for path in IMAGES.rglob("*") if path.suffix in (".png", ".svg", ".webp"))
MAX_BYTES = 200_000


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_shown_on_a_page_and_is_light(picture):
    shown = re.compile(rf"images/{re.escape(picture.relative_to(IMAGES).as_posix())}\b")
    assert any(shown.search(page.read_text(encoding="utf-8")) for page in PAGES)
    assert picture.stat().st_size <= MAX_BYTES


def test_the_picture_of_the_packages_has_the_arrows_that_are_allowed():
    drawn = re.findall(r'id="(\w+)-imports-(\w+)"', (IMAGES / "architecture.svg").read_text(encoding="utf-8"))
    assert set(drawn) == {(package, other) for package, others in ALLOWED.items() for other in others - {package}}


def test_every_simulated_cell_and_pairs_of_arms_have_a_picture():
    ids = {shot.env_id for shot in task_pictures.SHOTS.values()}
    assert {TABLE[name].cell for name in ids & TABLE.keys()} == {entry.cell for entry in TABLE.values()}
    assert ids & DUAL_TABLE.keys()
    assert {path.stem for path in (IMAGES / "tasks").iterdir()} == set(task_pictures.SHOTS)


@pytest.mark.parametrize("name", task_pictures.SHOTS)
def test_a_task_is_drawn_from_two_views_of_480_pixels_or_more(name):
    height, width, _ = imageio.imread(IMAGES / "tasks" / f"{name}.webp").shape
    assert height >= 480
    assert width == 2 * height
