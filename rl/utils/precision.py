"""`Precision`: the number formats that losses can be computed in."""

from __future__ import annotations

from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
"""Matrix products and convolutions of the losses; parameters, moments and targets stay float32."""
