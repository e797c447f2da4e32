"""sims: MuJoCo bodies of robotkit's contracts."""

from sims.gl import import_mujoco
from sims.warning_log import keep_warnings_out_of_files

# A wrong MUJOCO_GL breaks `import mujoco` itself; this is the one place that every import of this package passes.
keep_warnings_out_of_files(import_mujoco())
