"""`BodyBounds`: tool in the box, links before the planes and apart, for configurations, paths and the monitor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import robotkit as rk
from robotkit.drivers.fake import chain as fake_chain
from robotkit.kinematics import ForwardKinematics
from robotkit.safety.body import BodyBounds
from robotkit.schema import WorkspaceBox
from robotkit.schema.kinematics import KinematicChain, KinematicJoint, LinkCapsule, Plane
from robotkit.workspace import distance_outside, is_inside
from tests.robotkit.test_kinematics import fastest_s, random_chain

DOWN = (1.0, 0.0, 0.0, 0.0)
BOX = WorkspaceBox(
    position_min_m=(0.2, -0.4, 0.0), position_max_m=(0.8, 0.4, 0.6), reference_quaternion_xyzw=DOWN,
    rotation_vector_min_rad=(-0.8, -0.8, -1.6), rotation_vector_max_rad=(0.8, 0.8, 1.6),
)  # fmt: skip
HOME = np.array((0.5, 0.0, 0.3, np.pi, 0.0, 0.0))
TABLE = Plane(name="table", point_in_base_m=(0.0, 0.0, 0.0), normal_in_base=(0.0, 0.0, 1.0))
LOW_TABLE = TABLE.model_copy(update={"point_in_base_m": np.array((0.0, 0.0, -0.1))})
seeds = st.integers(0, 2**32 - 1)


def gantry(box=BOX, planes=(), margin_m=0.0) -> BodyBounds:
    return BodyBounds(fake_chain.chain(6), box, planes, None, margin_m)


def at(x=0.5, y=0.0, z=0.3, roll=np.pi, pitch=0.0, yaw=0.0) -> np.ndarray:
    return np.array((x, y, z, roll, pitch, yaw))


def planar_arm(links: int = 3, **options) -> KinematicChain:
    """Links of 0.3 m in the x-z plane; a positive angle bends the arm downwards. The base is a post."""

    def joint(index, x):
        return KinematicJoint(origin_in_parent=(x, 0, 0, 0, 0, 0, 1), axis=(0, 1, 0), index=index)

    capsules = [LinkCapsule(name="post", link=0, start_in_link_m=(0, 0, -1), end_in_link_m=(0, 0, 0), radius_m=0.05)]
    capsules += [
        LinkCapsule(name=f"link {i}", link=i, start_in_link_m=(0, 0, 0), end_in_link_m=(0.3, 0, 0), radius_m=0.05)
        for i in range(1, links + 1)
    ]
    return KinematicChain(
        joints=tuple(joint(index, 0.3 if index else 0.0) for index in range(links)),
        tcp_in_last_link=(0.3, 0, 0, 0, 0, 0, 1), capsules=tuple(capsules), **options,
    )  # fmt: skip


@given(seeds)
def test_a_configuration_is_refused_exactly_when_its_tool_is_outside_the_box(seed):
    rng = np.random.default_rng(seed)
    joints = at(*rng.uniform((0.1, -0.5, -0.1), (0.9, 0.5, 0.7)), *(HOME[3:] + rng.uniform(-1.0, 1.0, 3)))
    pose = ForwardKinematics(fake_chain.chain(6)).tcp_pose(joints)
    bounds = gantry()
    depth = bounds.depth(joints)
    assert (depth.distance_m, depth.angle_rad) == pytest.approx(distance_outside(pose, BOX), abs=1e-9)
    if is_inside(pose, BOX):
        bounds.check_joints(joints)
        assert depth.text == ""
    else:
        with pytest.raises(rk.OutsideWorkspace, match="tool target"):
            bounds.check_joints(joints)
        assert "tool target" in depth.text


def surface_points(ends: np.ndarray, radii_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points on the spheres along each capsule's segment, (capsules, points, 3)."""
    directions = rng.normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    centres = ends[:, 0, None] + rng.uniform(size=(4000, 1)) * (ends[:, 1] - ends[:, 0])[:, None]
    edges = np.concatenate([ends[:, end, None] + radii_m[:, None, None] * directions for end in (0, 1)], axis=1)
    return np.concatenate((centres + radii_m[:, None, None] * directions, edges), axis=1)


@given(seeds)
@settings(max_examples=40)
def test_a_plane_bounds_every_point_of_every_moving_link_and_the_tool(seed):
    rng = np.random.default_rng(seed)
    chain = random_chain(rng, 4)
    kinematics, joints = ForwardKinematics(chain), rng.uniform(-2.0, 2.0, 4)
    normal = rng.normal(size=3)
    plane = Plane(name="wall", point_in_base_m=rng.uniform(-1, 1, 3), normal_in_base=normal / np.linalg.norm(normal),
                  clearance_m=rng.uniform(0.0, 0.1))  # fmt: skip
    radii_m = np.array([capsule.radius_m for capsule in chain.capsules])
    points = surface_points(kinematics.capsule_ends(joints[None])[0], radii_m, rng)[1:].reshape(-1, 3)
    points = np.concatenate((points, kinematics.tcp_pose(joints)[None, :3]))
    beyond_m = plane.clearance_m - ((points - plane.point_in_base_m) @ plane.normal_in_base).min()
    depth = BodyBounds(chain, None, (plane,), None, 0.0).depth(joints)
    assert depth.distance_m == pytest.approx(max(0.0, beyond_m), abs=2e-3)


@given(seeds)
@settings(max_examples=40)
def test_links_are_as_near_as_their_points(seed):
    rng = np.random.default_rng(seed)
    chain = random_chain(rng, 3)
    joints, clearance_m = rng.uniform(-2.0, 2.0, 3), 0.5
    ends = ForwardKinematics(chain).capsule_ends(joints[None])[0]
    share = np.linspace(0.0, 1.0, 200)[:, None]
    lines = [start + share * (end - start) for start, end in ends]
    nearest_m = min(
        float(np.linalg.norm(lines[i][:, None] - lines[j], axis=-1).min()) for i, j in ((0, 2), (0, 3), (1, 3))
    )
    depth = BodyBounds(chain, None, (), clearance_m, 0.0).depth(joints)
    assert depth.distance_m == pytest.approx(max(0.0, clearance_m + 0.1 - nearest_m), abs=5e-3)


def test_the_message_says_which_link_how_far_and_which_plane():
    bounds = BodyBounds(planar_arm(), None, (LOW_TABLE,), None, 0.0)
    bounds.check_joints(np.array((-1.0, 0.2, 0.2)))
    with pytest.raises(rk.OutsideWorkspace, match=r"link 'link 2' would be 0\.\d+ m beyond plane 'table'"):
        bounds.check_joints(np.array((0.0, 1.0, -1.8)))
    near = LOW_TABLE.model_copy(update={"clearance_m": 0.2})
    with pytest.raises(rk.OutsideWorkspace, match=r"m before plane 'table' \(allowed: at least 0\.200 m before it\)"):
        BodyBounds(planar_arm(), None, (near,), None, 0.0).check_joints(np.array((-0.6, 0.0, 0.0)))


def test_the_message_says_which_links_are_too_near():
    folded = np.array((0.0, 2.6, 2.6))
    with pytest.raises(rk.OutsideWorkspace, match=r"links 'link 1' and 'link 3' would be .* m apart"):
        BodyBounds(planar_arm(), None, (), 0.02, 0.0).check_joints(folded)
    BodyBounds(planar_arm(), None, (), None, 0.0).check_joints(folded)
    ignoring = planar_arm(ignored_pairs=(("link 3", "link 1"), ("post", "link 3"), ("link 2", "post")))
    BodyBounds(ignoring, None, (), 0.02, 0.0).check_joints(folded)


def test_the_base_may_stand_behind_a_plane_and_neighbours_may_touch():
    BodyBounds(planar_arm(), None, (LOW_TABLE,), 0.02, 0.0).check_joints(np.array((-0.8, 0.0, 0.0)))


def test_a_tool_without_links_is_held_against_planes():
    with pytest.raises(rk.OutsideWorkspace, match=r"the tool centre point would be 0.100 m beyond plane 'table'"):
        gantry(box=None, planes=(TABLE,)).check_joints(at(z=-0.1))


@given(seeds)
def test_a_path_may_be_gone_in_both_directions_or_in_none(seed):
    rng = np.random.default_rng(seed)
    bounds = BodyBounds(planar_arm(), None, (LOW_TABLE,), 0.02, 0.0)
    a, b = rng.uniform(-2.0, 2.0, (2, 3))
    if bounds.depth(a).distance_m == bounds.depth(b).distance_m == 0.0:
        assert accepts(bounds, a, b) == accepts(bounds, b, a)


@given(seeds)
@settings(max_examples=40)
def test_no_point_of_an_accepted_path_is_outside_by_more_than_half_a_sample(seed):
    rng = np.random.default_rng(seed)
    bounds = BodyBounds(planar_arm(), None, (LOW_TABLE,), 0.02, 0.0)
    start, goal = rng.uniform((-2.5, -2.0, -2.0), (0.0, 2.0, 2.0), (2, 3))
    deepest_m = max(bounds.depth(start + s * (goal - start)).distance_m for s in np.linspace(0.0, 1.0, 300))
    if accepts(bounds, start, goal):
        assert deepest_m <= bounds.depth(start).distance_m + 0.005
    elif bounds.depth(start).distance_m == 0.0:
        assert deepest_m > 0.0


def accepts(bounds: BodyBounds, start: np.ndarray, goal: np.ndarray) -> bool:
    try:
        bounds.check_path(start, goal)
    except rk.OutsideWorkspace:
        return False
    return True


def test_b8_a_joint_path_that_leaves_the_box_in_its_middle_is_refused():
    """Both ends are inside; the arm would swing its tool through the table between them."""
    bounds = BodyBounds(planar_arm(), None, (LOW_TABLE,), None, 0.0)
    start, goal = np.array((-1.2, 0.0, 0.0)), np.array((1.2 - np.pi, 0.0, 0.0))
    bounds.check_path(start, goal)
    around = goal + np.array((2 * np.pi, 0.0, 0.0))
    bounds.check_joints(around)
    with pytest.raises(rk.OutsideWorkspace, match=r"after \d+% of the joint path link .* beyond plane 'table'"):
        bounds.check_path(start, around)


def test_the_tool_may_leave_the_box_by_the_margin_in_mid_path_but_not_at_its_end():
    arm, joints = planar_arm(1), np.array([-0.4])
    box = WorkspaceBox(position_min_m=(0.0, -1.0, -1.0), position_max_m=(0.29, 1.0, 1.0))
    for margin_m, is_accepted in ((0.02, True), (0.005, False)):
        assert accepts(BodyBounds(arm, box, (), None, margin_m), joints, -joints) is is_accepted
    assert not accepts(BodyBounds(arm, box, (), None, 0.02), joints, np.array([0.0]))


def test_the_tool_may_turn_out_of_the_box_by_the_margin_in_mid_path():
    start, goal = at(yaw=-1.5), at(yaw=4.7)
    chain = fake_chain.chain(6)
    assert accepts(BodyBounds(chain, BOX, (), None, 0.0, path_margin_rad=3.0), start, goal)
    assert not accepts(BodyBounds(chain, BOX, (), None, 0.0, path_margin_rad=0.1), start, goal)


def test_a_start_outside_does_not_widen_the_margin():
    """The start is 2 cm outside, the middle of the path 5 cm: more than the margin of 4 cm, less than both together."""
    arm, start, goal = planar_arm(1), np.array([-np.arccos(0.9)]), np.array([np.arccos(0.8)])
    box = WorkspaceBox(position_min_m=(0.0, -1.0, -1.0), position_max_m=(0.25, 1.0, 1.0))
    assert not accepts(BodyBounds(arm, box, (), None, 0.04), start, goal)
    assert accepts(BodyBounds(arm, box, (), None, 0.051), start, goal)


def test_what_the_margin_allows_is_not_what_the_message_names():
    wall = Plane(name="wall", point_in_base_m=(0.34, 0, 0), normal_in_base=(-1, 0, 0))
    box = WorkspaceBox(position_min_m=(0.0, -1.0, -1.0), position_max_m=(0.25, 1.0, 1.0))
    with pytest.raises(rk.OutsideWorkspace, match="plane 'wall'"):
        BodyBounds(planar_arm(1), box, (wall,), None, 0.06).check_path(np.array([-0.7]), np.array([0.7]))


def test_the_message_names_the_orientation_where_only_that_is_refused():
    start, goal = at(x=0.9, yaw=-1.5), at(x=0.79, yaw=4.7)
    with pytest.raises(rk.OutsideWorkspace, match="tool target is turned"):
        BodyBounds(fake_chain.chain(6), BOX, (), None, 0.2, path_margin_rad=0.1).check_path(start, goal)


def test_the_margin_is_not_one_for_planes():
    wall = Plane(name="wall", point_in_base_m=(0.34, 0, 0), normal_in_base=(-1, 0, 0))
    assert not accepts(BodyBounds(planar_arm(1), None, (wall,), None, 0.1), np.array([-0.6]), np.array([0.6]))


@pytest.mark.parametrize("seed", range(30))
def test_no_short_way_through_a_wall_is_missed_between_samples(seed):
    """The tip's arc is 0.1 mm beyond the wall, for 17 mm of its way."""
    wall = Plane(name="wall", point_in_base_m=(0.3499, 0, 0), normal_in_base=(-1, 0, 0))
    start = np.array([np.random.default_rng(seed).uniform(-2.0, -0.2)])
    assert not accepts(BodyBounds(planar_arm(1), None, (wall,), None, 0.0), start, -start)


@pytest.mark.parametrize("seed", range(30))
def test_no_short_turn_out_of_the_box_is_missed_between_samples(seed):
    """The tool is turned too far for 0.18 rad of its turn."""
    box = BOX.model_copy(update={"rotation_vector_max_rad": np.array((0.8, 0.8, 3.05)),
                                 "rotation_vector_min_rad": np.array((-0.8, -0.8, -3.05))})  # fmt: skip
    start, goal = at(yaw=np.random.default_rng(seed).uniform(0.0, 3.0)), at(yaw=4.0)
    assert not accepts(BodyBounds(fake_chain.chain(6), box, (), None, 0.0, path_margin_rad=0.0), start, goal)


@pytest.mark.parametrize(
    ("start", "goal", "is_accepted"),
    [
        (at(x=1.0), at(x=0.7), True),
        (at(x=1.0), at(x=0.95), True),
        (at(x=1.0), at(x=1.0), False),
        (at(x=1.0), at(x=1.01), False),
        (at(x=1.0), at(x=0.95, y=0.45), True),
        (at(x=1.0, y=0.5), at(x=0.9, y=0.5), True),
        (at(x=1.0), at(x=0.0), False),
        (at(roll=np.pi + 1.0), at(roll=np.pi + 0.9), True),
        (at(roll=np.pi + 1.0), at(roll=np.pi + 1.1), False),
        (at(roll=np.pi + 1.0), at(x=0.95, roll=np.pi + 0.9), False),
    ],
)
def test_from_outside_a_path_leads_back_or_is_refused(start, goal, is_accepted):
    assert accepts(gantry(), start, goal) is is_accepted


def test_a_path_back_may_not_end_farther_outside_in_something_else_not_even_by_the_margin():
    start = at(roll=np.pi + 1.0)
    assert accepts(gantry(margin_m=0.2), start, at(roll=np.pi + 0.9))
    assert not accepts(gantry(margin_m=0.2), start, at(x=0.95, roll=np.pi + 0.9))


def test_from_beyond_a_plane_another_link_may_not_go_there():
    """The first link starts beyond the wall; while it comes back the last one must not take its place."""
    wall = Plane(name="wall", point_in_base_m=(0.45, 0, 0), normal_in_base=(-1, 0, 0))
    bounds = BodyBounds(planar_arm(2), None, (wall,), None, 0.0)
    start = np.array((0.0, 1.2))
    assert bounds.depth(start).distance_m > 0.0
    assert accepts(bounds, start, np.array((-0.6, 2.0)))
    assert not accepts(bounds, start, np.array((0.0, 0.5)))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_never_inside(number):
    bounds = BodyBounds(planar_arm(), BOX, (TABLE,), 0.02, 0.0)
    bad, good = np.array((0.0, number, 0.0)), np.zeros(3)
    for call in (lambda: bounds.check_joints(bad), lambda: bounds.check_path(bad, good),
                 lambda: bounds.check_path(good, bad), lambda: bounds.check_joints(np.zeros(4))):  # fmt: skip
        with pytest.raises(rk.InvalidCommand, match="3 finite joint positions"):
            call()
    with np.errstate(invalid="ignore"):
        assert bounds.depth(bad).distance_m == np.inf


def test_a_path_beyond_all_measure_is_refused_without_work():
    with pytest.raises(rk.OutsideWorkspace, match="too long to be checked"):
        gantry().check_path(at(), at(yaw=1.0, x=1e4))


def test_it_is_cheap_enough_for_every_command():
    """120 us on a quiet machine, ten times that on a busy one."""
    chain = random_chain(np.random.default_rng(0), 7)
    walls = tuple(TABLE.model_copy(update={"name": name, "point_in_base_m": np.array((0, 0, -9.0))}) for name in "abc")
    bounds = BodyBounds(chain, None, walls, 0.01, 0.0)
    assert fastest_s(lambda: bounds.depth(np.zeros(7))) < 1200e-6


def test_links_that_touch_are_refused_also_without_clearance():
    """The third link is folded back onto the first one."""
    folded = np.array((0.0, np.pi / 2, np.pi / 2 - 0.01))
    touching = BodyBounds(planar_arm(3, ignored_pairs=(("post", "link 2"), ("post", "link 3"))), None, (), 0.0, 0.0)
    apart_m = 0.3 - 0.1
    bent = np.array((0.0, np.pi / 2, np.pi / 2))
    assert touching.depth(bent).distance_m == 0.0
    near = BodyBounds(planar_arm(3, ignored_pairs=(("post", "link 2"), ("post", "link 3"))), None, (), 0.25, 0.0)
    assert near.depth(bent).distance_m == pytest.approx(0.25 - apart_m)
    with pytest.raises(rk.OutsideWorkspace, match=r"'link 1' and 'link 3' would be 0\.200 m apart .* least 0\.250 m"):
        near.check_joints(bent)
    touching.check_joints(folded)
    onto = np.array((0.0, 2.9, 2.9))
    with pytest.raises(rk.OutsideWorkspace, match=r"'link 1' and 'link 3' would be -0\.\d+ m apart .* least 0\.000 m"):
        touching.check_joints(onto)


def test_a_link_beyond_or_before_a_plane_is_named_with_its_distance():
    wall = Plane(name="wall", point_in_base_m=(0.62, 0, 0), normal_in_base=(-1, 0, 0), clearance_m=0.1)
    bounds = BodyBounds(planar_arm(2), None, (TABLE.model_copy(update={"point_in_base_m": np.array((0, 0, -9.0))}),
                                              wall), None, 0.0)  # fmt: skip
    with pytest.raises(rk.OutsideWorkspace, match=r"link 'link 2' would be 0\.030 m beyond plane 'wall' .* 0\.100 m"):
        bounds.check_joints(np.zeros(2))
    far = wall.model_copy(update={"point_in_base_m": np.array((0.70, 0, 0))})
    with pytest.raises(rk.OutsideWorkspace, match=r"link 'link 2' would be 0\.050 m before plane 'wall'"):
        BodyBounds(planar_arm(2), None, (far,), None, 0.0).check_joints(np.zeros(2))
    tool = planar_arm(2).model_copy(update={"tcp_in_last_link": np.array((0.5, 0, 0, 0, 0, 0, 1.0))})
    with pytest.raises(rk.OutsideWorkspace, match=r"the tool centre point would be 0\.180 m beyond plane 'wall'"):
        BodyBounds(tool, None, (wall,), None, 0.0).check_joints(np.zeros(2))


def test_without_a_word_a_path_may_turn_the_tool_out_by_a_radian():
    """From 1.5 rad on one side to 1.5 on the other by the far side: pi - 1.6 rad out of the box in the middle."""
    chain = fake_chain.chain(6)
    half_turn = np.pi - 1.6
    for margin, is_accepted in ((1.0, False), (half_turn + 0.01, True), (half_turn - 0.01, False)):
        bounds = BodyBounds(chain, BOX, (), None, 0.0, path_margin_rad=margin)
        assert accepts(bounds, at(yaw=1.5), at(yaw=2 * np.pi - 1.5)) is is_accepted
    wide = BOX.model_copy(update={"rotation_vector_max_rad": np.array((0.8, 0.8, 2.2)),
                                  "rotation_vector_min_rad": np.array((-0.8, -0.8, -2.2))})  # fmt: skip
    assert accepts(BodyBounds(chain, wide, (), None, 0.0), at(yaw=1.5), at(yaw=2 * np.pi - 1.5))
    assert not accepts(BodyBounds(chain, BOX, (), None, 0.0), at(yaw=1.5), at(yaw=2 * np.pi - 1.5))


def test_a_long_path_is_looked_at_to_its_end():
    """Several hundred samples; only the last tenth of the path is beyond the wall, and its end is before it again."""
    wall = Plane(name="wall", point_in_base_m=(0.34, 0, 0), normal_in_base=(-1, 0, 0))
    bounds = BodyBounds(planar_arm(1), None, (wall,), None, 0.0)
    for turns in (1, 2, 3):
        start, goal = np.array((-0.5 - 2 * np.pi * turns,)), np.array((0.5 - 2 * np.pi * turns,))
        assert not accepts(bounds, start, goal)
        assert not accepts(bounds, np.array((-6.0 - np.pi,)), np.array((0.5 + 2 * np.pi * turns,)))
    assert accepts(bounds, np.array((0.6,)), np.array((5.6,)))


def test_the_share_of_the_path_is_that_of_the_first_bad_sample():
    """The link's end comes within its radius of the wall at -0.259 rad."""
    wall = Plane(name="wall", point_in_base_m=(0.34, 0, 0), normal_in_base=(-1, 0, 0))
    with pytest.raises(rk.OutsideWorkspace, match=r"after 3[78]% of the joint path"):
        BodyBounds(planar_arm(1), None, (wall,), None, 0.0).check_path(np.array((-1.0,)), np.array((1.0,)))


@pytest.mark.parametrize("change", [0.5e-6, 2e-6])
def test_a_micrometre_nearer_is_no_way_back(change):
    assert accepts(gantry(), at(x=1.0), at(x=1.0 - change)) is (change > 1e-6)


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_the_first_sample_of_a_path_counts_and_the_last(way):
    """The link is beyond the wall between -0.02 and 0.02 rad: just after the start, and for less than two samples."""
    wall = Plane(name="wall", point_in_base_m=(0.3 * np.cos(0.02) + 0.05, 0, 0), normal_in_base=(-1, 0, 0))
    bounds = BodyBounds(planar_arm(1), None, (wall,), None, 0.0)
    near, far = np.array((-0.021 * way,)), np.array((0.5 * way,))
    assert bounds.depth(near).distance_m == bounds.depth(far).distance_m == 0.0
    assert not accepts(bounds, near, far)
    assert not accepts(bounds, far, near)


@pytest.mark.parametrize(("where", "words"), [
    ({"x": 0.9}, r"x = 0\.9000"), ({"y": -0.5}, r"y = -0\.5000"), ({"z": 0.7}, r"z = 0\.7000"),
])  # fmt: skip
def test_the_axis_on_which_the_tool_is_outside_is_named(where, words):
    with pytest.raises(rk.OutsideWorkspace, match=words):
        gantry().check_joints(at(**where))


def test_on_the_way_back_the_arm_may_come_nearer_to_what_it_is_not_beyond():
    assert accepts(gantry(planes=(TABLE,)), at(x=1.0, z=0.3), at(x=0.95, z=0.2))


def test_a_path_of_a_few_samples_is_looked_at_between_its_ends():
    """The arc of 2 cm bulges 0.1 mm beyond the wall, before which it begins and ends."""
    half = 0.01 / 0.3
    wall = Plane(name="wall", point_in_base_m=(0.35 - 0.3 * (1 - np.cos(half)) / 2, 0, 0), normal_in_base=(-1, 0, 0))
    bounds = BodyBounds(planar_arm(1), None, (wall,), None, 0.0)
    bounds.check_joints(np.array((half,)))
    assert not accepts(bounds, np.array((-half,)), np.array((half,)))
