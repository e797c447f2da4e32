"""`FrontCamera`: gives one camera to a reward classifier, and the others to the policy."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs

from envs.wrappers.layout import keep_images, require_images


class FrontCamera(gymnasium.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """Takes one image out of the observation and keeps it, for a `FrontCameraRewardClassifier` outside.

    Args:
        env: observes images, nested or in SERL's layout.
        camera: name of the image.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], camera: str = "front") -> None:
        RecordConstructorArgs.__init__(self, camera=camera)
        super().__init__(env)
        space = env.observation_space
        require_images(type(self).__name__, space, (camera,))
        assert isinstance(space, spaces.Dict)
        self._camera = camera
        self._seen: dict[str, Any] | None = None
        self.observation_space = spaces.Dict(keep_images(space.spaces, lambda name: name != camera))

    def front_observation(self) -> dict[str, Any]:
        """The newest observation with this camera's image and no other.

        Raises:
            ResetNeeded: nothing has been observed yet.
        """
        if self._seen is None:
            raise ResetNeeded("nothing was observed yet; reset() first")
        return self._seen

    def observation(self, observation: Any) -> Any:
        """Take the image out."""
        self._seen = keep_images(observation, lambda name: name == self._camera)
        return keep_images(observation, lambda name: name != self._camera)
