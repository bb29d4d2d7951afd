"""Draw the figure of the README: exact curves and trained networks at depths 0, 1 and 2.

    python book/figure1.py

Transparent, with mid-tone ink, so that it reads on a white and on a dark page alike.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import phase_utils as pu

TARGET = Path(__file__).parent / "_static" / "figure1.svg"
INK = "#7d8590"  # contrast of about 4 with white and with GitHub's dark background


def draw() -> None:
    """Train, draw and write `TARGET`."""
    moments = pu.data.load("teacher").moments
    unit = moments.signal
    lands = [pu.Landscape(moments, depth) for depth in range(3)]
    jump = lands[2].transitions()[0].gamma
    gammas = np.linspace(0.05, 1.25, 25) * unit
    runs = pu.sweep(moments, gamma=gammas, depth=[0, 1, 2], init_scale=[0.01, 0.3], seed=range(2))
    runs = runs.stack(start=("init_scale", "seed"))
    best = runs.isel(start=runs.loss.argmin("start"))
    edges = [jump * (1 - 1e-9), jump * (1 + 1e-9), unit]
    fine = np.unique(np.concatenate([np.linspace(0.01, 1.3, 200) * unit, edges]))

    pu.plotting.use_style()
    parts = ("text.", "axes.label", "axes.edge", "xtick.", "ytick.", "grid.")
    inked = {f"{part}color": INK for part in parts}
    with plt.rc_context({**inked, "font.size": 11}):
        figure, axes = pu.plotting.panels(2, width=8.4, height=3.4)
        names = ("none", "one", "two")
        for depth, name in enumerate(names):
            style = pu.plotting.depth_style(depth)
            theory, trained = lands[depth].global_minimum(fine), best.sel(depth=depth)
            pairs = ((theory.loss, trained.loss), (theory.B, trained.B))
            for axis, (line, points) in zip(axes, pairs, strict=True):
                axis.plot(fine / unit, line, color=style["color"])
                axis.plot(gammas / unit, points, linestyle="none", label=name, **style)
        axes[0].set(ylabel="training loss")
        axes[0].text(1.28, 0.055, "lines: theory\npoints: trained", ha="right")
        axes[1].set(ylabel="order parameter")
        axes[1].legend(title="hidden layers", loc="upper right")
        for axis in axes:
            axis.set(xlabel="weight decay / strength of the signal", xlim=(0, 1.3))
        figure.savefig(TARGET, metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    draw()
