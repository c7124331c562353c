"""Norms by layer as pictures: of gradients, which vanish or explode, and of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import checks
from chainrule.complexity import GradientReport, WeightReport

from .canvas import MARKERS, legend_beside, log_scale, named, new_axes, plain, styles, whole_numbers_across

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    # All of one kind.
    Reports = GradientReport | WeightReport | Mapping[str, GradientReport] | Mapping[str, WeightReport]

_KINDS = {GradientReport: "norm of the gradient ‖g‖", WeightReport: "norm of the weights ‖W‖"}


def layer_norms(reports: Reports, ax: Axes | None = None) -> Axes:
    """Draw the norm of each layer's gradient, or of its weights, from the inputs to the outputs.

    A gradient that falls by a constant factor from layer to layer towards the inputs vanishes, one that grows explodes
    ([004], [000]).

    Parameters
    ----------
    reports : GradientReport or WeightReport, or mapping of str to them
        What `gradient_report` or `weight_report` gave; several of one kind by name, to be compared.
    ax : matplotlib Axes, optional
        Where to draw. By default a new figure is made.

    Returns
    -------
    matplotlib Axes
        `ax`, or those of the new figure.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If `reports` is nothing like that, or no report has a layer.

    Notes
    -----
    The axis is logarithmic where the norms span more than a factor of 10. A norm of exactly 0 has no place on it then:
    a "0" stands at its lower end.
    """
    several = isinstance(reports, Mapping)
    known: dict[str, Any] = named("reports", reports, "reports", least=1) if several else {"": reports}
    kinds = [next((kind for kind in _KINDS if isinstance(one, kind)), None) for one in known.values()]
    if kinds[0] is None or len(set(kinds)) > 1:
        wanted = "gradient_report, or of weight_report, or a mapping from names to those of one kind"
        raise TypeError(f"reports must be a result of {wanted}; got {checks.shown(reports)}")
    if not any(report.layers for report in known.values()):
        raise ValueError("reports must have a layer with weights; there is none")
    ax = new_axes("norms by layer", ax, (7.0, 3.4) if several else (5.6, 3.4))
    every = np.array([one.norm for report in known.values() for one in report.layers], dtype=np.float64)
    above = every[(every > 0) & np.isfinite(every)]
    is_log = len(above) > 0 and above.max() > 10 * above.min()
    for place, ((name, report), style) in enumerate(zip(known.items(), styles(), strict=False)):
        layers = np.array([one.number for one in report.layers])
        norms = np.array([one.norm for one in report.layers], dtype=np.float64)
        drawn = np.where(norms > 0, norms, np.nan) if is_log else norms
        ax.plot(layers, drawn, marker=MARKERS[place % len(MARKERS)], label=name, **style)
        for layer in layers[norms == 0] if is_log else ():
            at = ax.get_xaxis_transform()
            ax.text(layer, 0.01, "0", transform=at, ha="center", va="bottom", color=style["color"])
    plain(ax, "layer, from the inputs", _KINDS[kinds[0]])
    if is_log:
        log_scale(ax, "y")
    else:
        ax.set_ylim(0, 1.1 * above.max() if len(above) else 1.0)
    whole_numbers_across(ax)
    if several:
        legend_beside(ax)
    return ax
