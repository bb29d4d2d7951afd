"""Plain training in torch, without the package: where a network's loss falls below the blind one.

Networks are trained cold at several sizes of their own initial weights, and followed from small
decays upwards. Everything is judged by its total loss l0 + gamma R against the blind level.
"""

import copy
import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import minimize

from networks.case import Case, Exact, Trained

GAINS = (1.0, 2.0, 0.5, 1.5)  # sizes of the initial weights
FIRST = 0.3  # of the prediction: the decay of the first, cold trainings
FOLLOWED = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 1.02)  # of the prediction
FURTHER = (1.05, 1.1, 1.2, 1.35, 1.5, 2.0, 3.0, 5.0)  # as long as something is below
KEPT = 2  # of the first trainings are followed
BELOW = 1e-9  # of the blind level: what counts as below it
SLACK = 1e-4  # of gamma, within which the diagnosis' weights are to tie with the blind network
CONTINUOUS, JUMP = 0.4, 0.6  # of R between shares: it falls to .2 and .25 where it goes to zero
LOOKS = ((0.9, 0.98), (0.98, 0.995))  # the second where the first does not show a jump: a small one
BUDGET = 90.0  # CPU seconds, after which no training is begun


@dataclass
class Seen:
    """What training showed, in units of the predicted gamma.

    low, high : largest decay with a network below the blind level, and the next one tried without;
    order : as the squares of the best networks tell; certified : whether the diagnosis' own weights
    tie with the blind network at its gamma; cold : cold trainings that were below at .98, of how
    many; complete : whether the budget sufficed; totals : of the best networks at each share of the
    predicted gamma, less the blind level and in units of it.
    """

    low: float = 0.0
    high: float = math.inf
    order: str = ""
    certified: bool = False
    cold: tuple[int, int] = (0, 0)
    complete: bool = True
    totals: dict[float, float] = field(default_factory=dict)


class Trainee:
    """The total loss of a case as a function of flat weights, by ordinary autograd."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model = copy.deepcopy(case.model).double()
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.first = self.flat()

    def flat(self) -> np.ndarray:
        """The present weights."""
        return torch.cat([p.detach().reshape(-1) for p in self.parameters]).numpy().copy()

    def put(self, w: np.ndarray) -> None:
        """Set the weights."""
        parts = torch.from_numpy(w).split([p.numel() for p in self.parameters])
        for p, part in zip(self.parameters, parts, strict=True):
            p.data.copy_(part.view_as(p))

    def parts(self, w: np.ndarray) -> tuple[float, float]:
        """l0 and R."""
        self.put(w)
        with torch.no_grad():
            loss, square = self._parts()
        return float(loss), float(square)

    def train(self, w: np.ndarray, gamma: float, iterations: int = 200) -> np.ndarray:
        """L-BFGS from w, begun again where it ends early."""

        def total(v: np.ndarray) -> tuple[float, np.ndarray]:
            self.put(v)
            loss, square = self._parts()
            value = loss + gamma * square
            slopes = torch.autograd.grad(
                value, self.parameters, allow_unused=True, materialize_grads=True
            )
            return float(value.detach()), torch.cat([s.reshape(-1) for s in slopes]).numpy()

        for limit in (iterations, iterations // 2):
            run = minimize(
                total, w, jac=True, method="L-BFGS-B",
                options={"maxiter": limit, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-9},
            )  # fmt: skip
            w = run.x
        return w

    def fresh(self, seed: int, gain: float) -> np.ndarray:
        """Initial weights as the layers draw them, matrices times a gain."""
        torch.manual_seed(seed)
        for module in self.model.modules():
            for name in ("reset_parameters", "_reset_parameters"):
                if callable(getattr(module, name, None)):
                    getattr(module, name)()
                    break
        with torch.no_grad():
            for p in self.parameters:
                if p.ndim > 1:
                    p.mul_(gain)
        return self.flat()

    def _parts(self) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = self.case.data
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            out = self.model(*x) if isinstance(x, tuple) else self.model(x)
        finally:
            torch.set_default_dtype(default)
        return self.case.loss(out, y), self.case.square(self.model)


def observe(case: Case, gamma: float, weights: dict[str, torch.Tensor]) -> Seen:
    """Train around the predicted gamma; `weights` of the diagnosis are checked, and may refute."""
    assert isinstance(case.truth, Trained)
    truth, seen, begun = case.truth, Seen(), time.process_time()
    net = Trainee(case)

    def margin(w: np.ndarray, share: float) -> float:
        """Total minus blind level in units of the level: negative where learning pays."""
        loss, square = net.parts(w)
        level = truth.at(share * gamma)
        return (loss + share * gamma * square - level) / abs(level)

    found = net.model
    found.load_state_dict({k: v.double() for k, v in weights.items()}, strict=False)
    own = net.flat()
    loss, square = net.parts(own)
    tie = SLACK * gamma * (square - _paid(truth, gamma))
    seen.certified = loss + gamma * square - truth.at(gamma) < tie
    begin = [net.train(net.fresh(i, g), FIRST * gamma) for i, g in enumerate(GAINS)]
    begin = sorted(begin, key=lambda w: margin(w, FIRST))[:KEPT]
    squares: dict[float, float] = {}
    for share in (FIRST, *FOLLOWED, *FURTHER):
        if time.process_time() - begun > BUDGET:
            seen.complete = False
            break
        if share > FIRST:
            begin = [net.train(w, share * gamma) for w in begin]
        tried = list(begin)
        if share in (0.98, 1.02):  # cold, and from what the diagnosis found
            cold = [net.train(net.fresh(10 + i, g), share * gamma) for i, g in enumerate(GAINS)]
            if share == 0.98:
                seen.cold = (sum(margin(w, share) < -BELOW for w in cold), len(cold))
            else:
                tried.append(net.train(own, share * gamma))
            tried += cold
        best = min(tried, key=lambda w: margin(w, share))
        seen.totals[share] = margin(best, share)
        if seen.totals[share] < -BELOW:
            squares[share] = net.parts(best)[1] - _paid(truth, share * gamma)
            begin = sorted(tried, key=lambda w: margin(w, share))[:KEPT]
        elif share > 1:
            break
    _bracket(seen, squares)
    return seen


def _paid(truth: Trained, gamma: float) -> float:
    """R of the blind network: the slope of its total."""
    if truth.blind is None:
        return 0.0
    step = 1e-3 * gamma
    return (truth.blind(gamma + step) - truth.blind(gamma - step)) / (2 * step)


def _bracket(seen: Seen, squares: dict[float, float]) -> None:
    """From the shares that were tried to the bracket and the order."""
    seen.low = max(squares, default=0.0)
    seen.high = min((s for s in seen.totals if s > seen.low), default=math.inf)
    for far, near in LOOKS:
        if far not in squares or near not in squares or squares[far] <= 0:
            seen.order = ""
            return
        ratio = squares[near] / squares[far]
        if ratio > JUMP:
            seen.order = "first"
            return
        seen.order = "continuous" if ratio < CONTINUOUS else "undecided"


def is_unbounded(case: Case) -> bool:
    """Whether changed sizes beat the blind network at decays of 1, 10 and 100."""
    truth = case.truth
    assert isinstance(truth, Exact)
    assert truth.resize is not None
    net = Trainee(case)
    base = net.train(net.first, 1e-2, 60)
    for gamma in (1.0, 10.0, 100.0):
        below = False
        for size in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
            net.put(base)
            with torch.no_grad():
                truth.resize(net.model, size)
            loss, square = net.parts(net.train(net.flat(), gamma, 60))
            below = below or loss + gamma * square < truth.level * (1 - BELOW)
        if not below:
            return False
    return True
