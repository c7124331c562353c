"""Whether PyTorch can take part, on this GPU. It is imported only here, and only where it is installed."""

from __future__ import annotations

import importlib
from typing import Any

from ..engines import missing
from .ledger import Ledger


def peer_for(ledger: Ledger) -> Any:
    """Return its file for the GPU; where it cannot take part, say why and return None."""
    why = missing("torch")
    peer: Any = None
    if not why:
        try:
            peer = importlib.import_module("chainrule.bench.engines.torch_gpu")
            why = peer.trouble()
        except (ImportError, OSError) as error:  # its libraries are many, and one may be missing
            why = f"PyTorch is left out: {error}"
    if why:
        ledger.skip("torch", why)
        return None
    return peer
