"""What is new, and what was known: every extension has a row, and the dictionary holds."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize_scalar

import phase_utils as pu
from phase_utils.chapters import claims

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "book" / "novelty.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| [\w -]+ \{claim\}`(ext-[\w-]+)` \| ([^|]+) \| (.+) \|$", re.MULTILINE)
ROWS = ROW.findall(TEXT)


def test_every_extension_has_one_row_and_an_origin():
    names = sorted(name for name, _, _ in ROWS)
    assert names == sorted(d.id for d in claims.definitions() if d.id.startswith("ext-"))
    assert {origin for _, origin, _ in ROWS} == {"known", "another guise", "new"}


def test_what_was_known_is_cited_and_what_is_cited_is_in_the_bibliography():
    assert [name for name, origin, words in ROWS if origin != "new" and "{cite" not in words] == []
    cited = set(",".join(re.findall(r"\{cite:[pt]\}`([^`]+)`", TEXT)).split(","))
    entries = re.findall(r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(), re.M)
    assert cited <= set(entries)
    assert len(entries) == len(set(entries))


def scalar_curvature(B, E, a, height):
    """Of the graph of height (a w0^2 w1^2 w2^2 - 2 E w0 w1 w2) at weights B."""
    w = torch.full((3,), B, dtype=torch.float64)

    def error(v):
        return height * (a * v.prod() ** 2 - 2 * E * v.prod())

    slope = torch.autograd.functional.jacobian(error, w)
    metric = torch.eye(3, dtype=torch.float64) + torch.outer(slope, slope)
    bend = torch.linalg.solve(metric, torch.autograd.functional.hessian(error, w))
    return float(bend.trace() ** 2 - (bend @ bend).trace())


@pytest.mark.parametrize(("E", "a"), [(0.45, 1.0), (0.8, 2.5)])
def test_the_curvature_changes_between_coexistence_and_spinodal(E, a):
    least = (E / a) ** (1 / 3)
    at = brentq(scalar_curvature, 0.6 * least, 0.9 * least, args=(E, a, 1e-4), xtol=1e-13)
    assert at**3 == pytest.approx(E / (3 * a), rel=1e-6)
    land = pu.Landscape(pu.Moments.isotropic(1, a, E), 2)
    (transition,), (spinodal,) = land.transitions(), land.spinodals()
    assert transition.B_below**3 == pytest.approx(E / (2 * a), rel=1e-9)
    assert pytest.approx(E / (4 * a), rel=1e-9) == spinodal.B**3
    gamma = E * at - a * at**4
    assert round(gamma / transition.gamma, 2) == 1.16
    assert round(gamma / spinodal.gamma, 3) == 0.978


@pytest.mark.parametrize("p", [0.05, 0.2, 0.4])
def test_rare_codes_pay_up_to_the_sub_gaussian_variance(p):
    """Unrestricted autoencoders of a coin: the last part of the bound of chapter 12."""
    points, weights = np.array([1 - p, -p]), np.array([p, 1 - p])

    def least(level, share=1e-6):  # the loss of codes that draw one image that often
        def loss(y):
            lift = np.exp((2 * points * y - y * y) / (2 * level))
            return -weights @ np.log1p(share * (lift - 1)) / share

        sides = (-3.0, -1e-3), (1e-3, 3.0)
        return min(minimize_scalar(loss, bounds=side, method="bounded").fun for side in sides)

    closed = (1 - 2 * p) / (2 * np.log((1 - p) / p))  # Kearns and Saul
    assert brentq(least, p * (1 - p), 0.3) == pytest.approx(closed, rel=1e-4)


@pytest.mark.parametrize("depth", [1.5, 2, 3, 8])
def test_the_threshold_of_a_penalty_is_the_coexistence_of_a_network(depth):
    q = 2 / (depth + 1)
    land = pu.Landscape(pu.Moments.isotropic(1, 1.0, 0.45), depth)
    (transition,), (spinodal,) = land.transitions(), land.spinodals()
    strength = transition.gamma * (depth + 1) / 2
    jump = (2 * strength * (1 - q)) ** (1 / (2 - q))
    assert jump == pytest.approx(transition.B_below ** (depth + 1), rel=1e-9)
    assert jump + strength * q * jump ** (q - 1) == pytest.approx(0.45, rel=1e-9)
    end = (spinodal.gamma * (depth + 1) / 2 * q * (1 - q)) ** (1 / (2 - q))
    assert end == pytest.approx(spinodal.B ** (depth + 1), rel=1e-9)
    # half of the threshold's estimate, and the share of coexistence in the spinodal
    assert end / jump == pytest.approx(0.5, rel=1e-9)
    share = {2: 0.84}.get(depth)
    assert share is None or np.round(transition.gamma / spinodal.gamma, 2) == share
