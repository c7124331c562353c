"""Whether there is a GPU to test on, real or emulated, and arrays that lie there. Nothing here is a test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import _engine

why_no_gpu = _engine.cuda_trouble()
needs_gpu = pytest.mark.skipif(bool(why_no_gpu), reason=why_no_gpu or "there is a GPU")
needs_no_gpu = pytest.mark.skipif(not why_no_gpu, reason="there is a GPU")
DEVICES = [pytest.param("cpu"), pytest.param("cuda", marks=needs_gpu)]
emulated = (_engine.cuda_about() or {"name": ""})["name"] == "emulated on the host"


def there(array: np.ndarray[Any, Any]) -> _engine.DeviceArray:
    """Return a matrix in the GPU's memory: the weights of a network that was made for that."""
    rows, columns = array.shape
    net = cr.Network([cr.Dense(columns, bias=False)], inputs=rows, dtype=array.dtype, device="cuda")
    net.load_state_dict({"0.weight": array})
    return net.device_arrays()["0.weight"]
