"""What a type checker tells a user of the package, before anything runs."""

import re
from pathlib import Path

from mypy import api

ROOT = Path(__file__).resolve().parents[1]
# a line is an error where its comment says so, and only there
USER = """
import numpy as np
import torch

import phase_utils as pu

x, y = np.ones((4, 2)), np.ones(4)
m = pu.Moments.from_samples(x, y)
m = pu.Moments.from_samples([[1.0, 2.0]], [3.0])
land = pu.Landscape(m, depth=2)
land = pu.Landscape(m, depth=np.inf, width=[8, 8])
land = pu.Landscape(m, depth="two")  # error: depth
land = pu.Landscape(m, width=object())  # error: width
land = pu.Landscape(x)  # error: Landscape
gamma: float = land.transitions()[0].gamma
orders: str = land.transitions()[0].order  # error: assignment
loss = land.global_minimum(np.linspace(0, 1, 5)).loss.sum()
land.global_minimum(0.1).losses  # error: losses
pu.Landscapes  # error: Landscapes
pu.widgets.landscape(depth="two")  # error: landscape

network = pu.LinearNetwork(m, depth=1, width=4)
init = network.initial_weights(0.1, range(3))
result = pu.train(network, init, 0.1, pu.Settings("adam"))
pu.train(network, 0.1, 0.1)  # error: train
pu.train(object(), init, 0.1)  # error: train
pu.train(m, init, [0.1, 0.2, 0.3]).weights[0].shape


class Well:
    def data_loss(self, weights: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return weights[0].square().sum(1)


pu.train(Well(), init, 0.0)
ds = pu.sweep(m, gamma=np.linspace(0.1, 1, 5), depth=[0, 1], seed=range(2))
pu.sweep(m, gamma=[0.1], depth="one")  # error: sweep
pu.langevin(network, init, 0.1, 0.01, dt=0.1, steps="many")  # error: langevin
model = torch.nn.Linear(2, 1)
found = pu.diagnose(model, torch.nn.functional.mse_loss, (x, y))
order: str = found.order
pu.diagnose(model, torch.nn.functional.mse_loss, 3.0)  # error: diagnose
pu.diagnose("model", torch.nn.functional.mse_loss, (x, y))  # error: diagnose
pu.norm_power_penalty(model.parameters(), 0.1, "four")  # error: norm_power_penalty
"""


def test_wrong_arguments_are_errors_before_anything_runs(tmp_path):
    file = tmp_path / "user.py"
    file.write_text(USER)
    cache = f"--cache-dir={ROOT / '.mypy_cache'}"
    told, trouble, _ = api.run([str(file), "--config-file=", cache, "--follow-imports=silent"])
    assert trouble == ""
    found = {int(line) for line in re.findall(r"user\.py:(\d+): error:", told)}
    wanted = {i for i, line in enumerate(USER.splitlines(), 1) if "# error" in line}
    assert found == wanted, told
