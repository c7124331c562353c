"""The engine's two precisions, picked by dtype."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from ._engine import float32, float64


def engine_of(dtype: np.dtype[Any]) -> ModuleType:
    """Return the engine of float32 or float64. Both hold the same names; see _engine/float32.pyi."""
    engine: ModuleType = float32 if dtype == np.float32 else float64
    return engine
