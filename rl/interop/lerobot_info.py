"""The description of a LeRobotDataset in `meta/info.json`, which other programs write."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rl.errors import DataError

_READABLE = ("v3.0", "v2.1")


class Feature(BaseModel):
    """One column."""

    model_config = ConfigDict(extra="ignore")

    dtype: str
    shape: tuple[Annotated[int, Field(ge=0)], ...]


class DatasetInfo(BaseModel):
    """The facts that an import needs."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    codebase_version: str
    fps: Annotated[float, Field(gt=0)]
    total_episodes: Annotated[int, Field(ge=0)]
    total_frames: Annotated[int, Field(ge=0)]
    chunks_size: Annotated[int, Field(ge=1)] = 1000
    data_path: str
    video_path: str | None = None
    features: dict[str, Feature]


def parse_info(content: dict[str, Any], name: str) -> DatasetInfo:
    """The description in a parsed `info.json`; `name` is that of the dataset in messages.

    Raises:
        DataError: it is of an unknown version, or a field is missing or makes no sense.
    """
    version = content.get("codebase_version")
    if version not in _READABLE:
        raise DataError(f"{name} has version {version} of the format; readable are {' and '.join(_READABLE)}")
    try:
        info = DatasetInfo.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"{name} is no LeRobotDataset: its meta/info.json says of {place}: {first['msg']}") from error
    if info.video_path is None and any(feature.dtype == "video" for feature in info.features.values()):
        raise DataError(f"{name} is no LeRobotDataset: its meta/info.json has columns of videos and no video_path")
    return info
