"""sims: MuJoCo bodies of robotkit's contracts."""

from sims.gl import import_mujoco

# A wrong MUJOCO_GL breaks `import mujoco` itself; this is the one place that every import of this package passes.
import_mujoco()
