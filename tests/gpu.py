"""Whether there is a GPU to test on, real or emulated. Nothing here is a test."""

from __future__ import annotations

import pytest

from chainrule import _engine

why_no_gpu = _engine.cuda_trouble()
needs_gpu = pytest.mark.skipif(bool(why_no_gpu), reason=why_no_gpu or "there is a GPU")
needs_no_gpu = pytest.mark.skipif(not why_no_gpu, reason="there is a GPU")
DEVICES = [pytest.param("cpu"), pytest.param("cuda", marks=needs_gpu)]
emulated = (_engine.cuda_about() or {"name": ""})["name"] == "emulated on the host"
