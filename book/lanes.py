"""Draw the picture of the page "Why it is fast": networks as lanes, and the order of their steps.

python book/lanes.py
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

import phase_utils as pu

TARGET = Path(__file__).parent / "_static" / "lanes.svg"
LANES, WEIGHTS, BLOCKS, STEPS = 4, 5, 4, 5  # that are shown


def lanes(axis: Any) -> None:
    """What lies side by side: one weight of each network."""
    for i in range(WEIGHTS):
        for lane in range(LANES):
            colour = pu.plotting.COLOURS[lane]
            cell = Rectangle((lane, -i - 1), 0.94, 0.8, facecolor=colour, edgecolor="none")
            axis.add_patch(cell)
    axis.add_patch(Rectangle((-0.1, -3.12), LANES + 0.14, 1.04, fill=False, linewidth=2))
    for lane in range(LANES):
        axis.text(lane + 0.47, 0.1, f"{lane + 1}", ha="center")
    axis.text(-0.2, 0.1, "network", ha="right")
    for i in range(WEIGHTS):
        axis.text(-0.2, -i - 0.6, f"weight {i + 1}", ha="right", va="center")
    axis.text(LANES + 0.15, -2.6, "one vector:\none instruction\nfor four networks", va="center")
    axis.set(xlim=(-1.5, LANES + 2.9), ylim=(-WEIGHTS - 0.2, 0.5))
    axis.axis("off")


def order(axis: Any, by_block: bool, title: str) -> None:
    """The way through all steps of all blocks."""
    steps, blocks = np.meshgrid(np.arange(STEPS), np.arange(BLOCKS))
    x, y = (a.ravel() if by_block else a.T.ravel() for a in (steps, blocks))
    axis.plot(x, y, color=pu.plotting.COLOURS[0], marker="o")
    axis.plot(x[:1], y[:1], "o", color=pu.plotting.COLOURS[1], markersize=10)
    axis.set(xlim=(-0.5, STEPS - 0.5), ylim=(BLOCKS - 0.5, -0.5), xlabel="steps", title=title)
    axis.set(xticks=[], yticks=[])
    axis.set_ylabel("networks")


def main() -> None:
    """Draw and write `TARGET`."""
    pu.plotting.use_style()
    with plt.rc_context({"font.size": 12}):
        figure, axes = plt.subplot_mosaic(
            [["lanes", "lanes"], ["batch", "block"]], figsize=(4.6, 5.0), height_ratios=(1.25, 1)
        )
        lanes(axes["lanes"])
        order(axes["batch"], False, "a batch")
        order(axes["block"], True, "blocks of lanes")
        figure.savefig(TARGET, metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    main()
