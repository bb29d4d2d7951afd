"""Problems whose exact answers are known without the package: what its tests compare with.

The closed forms are those of isotropic data, A0 = a I: with E = |E[xy]|, noise factor N and the
order parameter B, |beta| = B^(D+1), the stationary points of a network with D hidden layers obey
gamma = E B^(D-1) - N a B^(2D).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Isotropic:
    """Isotropic data with noiseless labels, seen through noise factor N by D hidden layers."""

    depth: int
    variance: float = 1.0  # a
    signal: float = 0.45  # E
    noise_factor: float = 1.0  # N

    @property
    def Eyy(self) -> float:
        return self.signal**2 / self.variance

    @property
    def order(self) -> int | None:
        """Order of the transition out of the trivial phase."""
        return None if self.depth == 0 else 2 if self.depth == 1 else 1

    @property
    def critical(self) -> float:
        """Gamma above which B = 0 is the global minimum (infinite for D = 0)."""
        D, E, c = self.depth, self.signal, self.noise_factor * self.variance
        if D == 0:
            return np.inf
        if D == 1:
            return E
        return (E / D) ** (2 * D / (D + 1)) * ((D - 1) / c) ** ((D - 1) / (D + 1))

    @property
    def B_critical(self) -> float:
        """B of the learned phase at the critical gamma."""
        D, c = self.depth, self.noise_factor * self.variance
        return float(((D - 1) * self.critical / c) ** (1 / (2 * D))) if D > 1 else 0.0

    @property
    def latent_heat(self) -> float:
        D, c = self.depth, self.noise_factor * self.variance
        return self.signal**2 / c * (1 - 1 / D**2) if D > 1 else 0.0

    @property
    def spinodal(self) -> float:
        """Gamma at which the learned phase ceases to be a local minimum (D >= 1)."""
        D, E, c = self.depth, self.signal, self.noise_factor * self.variance
        if D == 1:
            return E
        u = (E * (D - 1) / (2 * c * D)) ** (2 / (D + 1))
        return float(E * u ** ((D - 1) / 2) * (D + 1) / (2 * D))

    def loss(self, B: float, gamma: float) -> float:
        """Data term of the end-to-end vector beta = B^(D+1) along E[xy], plus the least penalty."""
        beta = B ** (self.depth + 1)
        data = self.noise_factor * self.variance * beta**2 - 2 * beta * self.signal + self.Eyy
        return float(data + gamma * (self.depth + 1) * B**2)

    def stationary(self, gamma: float) -> Array:
        """All B >= 0 that obey the equation of state, and 0; ascending."""
        D, E, c = self.depth, self.signal, self.noise_factor * self.variance
        if D == 0:
            return np.array([E / (c + gamma)])
        equation = np.zeros(2 * D + 1)  # highest power first
        equation[0], equation[-1] = c, gamma
        equation[D + 1] -= E
        roots = np.roots(equation)
        real = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 1e-12)]
        return np.concatenate([[0.0], np.sort(real)])

    def minimum(self, gamma: float) -> tuple[float, float, float]:
        """Loss, slope dL/dgamma and B of the global minimum."""
        B = min(self.stationary(gamma), key=lambda B: self.loss(B, gamma))
        return self.loss(B, gamma), float((self.depth + 1) * B**2), float(B)

    def curve(self, gammas: Array) -> tuple[Array, Array, Array]:
        """Loss, slope and B of the global minimum at every gamma."""
        loss, slope, B = np.array([self.minimum(float(g)) for g in gammas]).T
        return loss, slope, B


ISOTROPIC = [
    *(Isotropic(depth) for depth in range(4)),
    *(Isotropic(depth, variance=1.7, signal=0.8, noise_factor=1.3) for depth in range(4)),
]

# a, e^2 of a cascade at D = 2, N = 1: gamma, B below, B above of its two first-order transitions.
CASCADE_EIGENVALUES = np.array([1.0, 1e-4])
CASCADE_SIGNALS = np.sqrt([0.2, 0.001])
CASCADE_TRANSITIONS = [(0.08706086, 5.3566, 0.6960), (0.13662865, 0.6111, 0.0)]


def anisotropic(d: int = 5, seed: int = 0) -> tuple[Array, Array, float]:
    """A0, E[xy] and E[y^2] of correlated inputs with noisy labels."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(d, d)) / np.sqrt(d)
    A0 = factor @ factor.T + 0.3 * np.eye(d)
    Exy = rng.normal(size=d)
    Exy *= 0.5 / np.linalg.norm(Exy)
    return A0, Exy, float(Exy @ np.linalg.solve(A0, Exy)) + 0.1


def balanced_minima(
    A0: Array, Exy: Array, Eyy: float, depth: int, noise_factor: float, gamma: float
) -> list[tuple[float, float]]:
    """(B, loss) of all local minima over B >= 0 of the loss of balanced networks.

    For every B on a grid the best end-to-end vector of norm B^(D+1) is found from the ridge that
    produces it; the loss is then minimised by a bracketing search in every dip of the grid.
    """
    values, vectors = np.linalg.eigh(noise_factor * A0)
    e = vectors.T @ Exy
    if depth == 0:
        ridge = e / (values + gamma)
        return [(float(np.linalg.norm(ridge)), float(Eyy - e @ ridge))]

    def loss(B: float) -> float:
        u = B * B
        return float(
            Eyy - np.sum(u**depth * e**2 / (values * u**depth + gamma)) + gamma * depth * u
        )

    top = 1.2 * (np.linalg.norm(e / values) ** (1 / (depth + 1)) + np.linalg.norm(e))
    grid = np.linspace(0.0, top, 4001)
    heights = np.array([loss(B) for B in grid])
    minima = [(0.0, Eyy)] if depth > 1 or (depth == 1 and heights[1] >= heights[0]) else []
    for i in np.flatnonzero((heights[1:-1] < heights[:-2]) & (heights[1:-1] <= heights[2:])) + 1:
        found = minimize_scalar(
            loss, bounds=(grid[i - 1], grid[i + 1]), method="bounded", options={"xatol": 1e-12}
        )
        minima.append((float(found.x), float(found.fun)))
    return minima


def central_differences(f: Callable[[Array], float], x: Array, step: float = 1e-5) -> Array:
    """Gradient of f at the vector x by central differences."""
    gradient = np.empty_like(x)
    for i in range(len(x)):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        gradient[i] = (f(up) - f(down)) / (2 * step)
    return gradient


DIRECTIONS = 16
HADAMARD = np.array([[1.0]])
for _ in range(4):
    HADAMARD = np.block([[HADAMARD, HADAMARD], [HADAMARD, -HADAMARD]])
HADAMARD /= 4  # orthogonal and symmetric


@dataclass(frozen=True)
class Ridges:
    """Ridge problems with spectra of many octaves, their minima known to the last digit.

    Eigenvalues, squared signals and decays are powers of two, and the eigenvectors are the axes or
    the columns of a Hadamard matrix: moments and minima have no rounding, in float32 neither.
    """

    eigenvalues: Array  # (n, d), a
    signals: Array  # (n, d), e in the basis of the eigenvectors
    gammas: Array  # (n,)
    turned: Array  # (n,) of bool: the eigenvectors are not the axes
    Eyy: Array  # (n,)

    @classmethod
    def drawn(cls, count: int, octaves: int, seed: int, shares: int = 20) -> "Ridges":
        """Spectra of up to so many octaves; shares of E[y^2] of up to so many between the modes."""
        rng = np.random.default_rng(seed)
        lowest = -rng.integers(1, octaves + 1, size=(count, 1))
        power = np.round(rng.uniform(0, 1, (count, DIRECTIONS)) * lowest)
        power[:, 0], power[:, -1] = 0, lowest[:, 0]
        share = -rng.integers(0, shares + 1, size=power.shape)
        root = (power + share) // 2
        gammas = 2.0 ** -rng.integers(0, octaves + 10, size=count)
        gammas[rng.uniform(size=count) < 0.25] = 0
        noise = rng.choice([0.0, 1.0], size=count)
        return cls(
            4 * 2.0**power,
            rng.choice([-2.0, 2.0], size=power.shape) * 2.0**root,
            4 * gammas,
            np.arange(count) % 2 == 1,
            np.sum(4.0**root * 2.0**-power, axis=1) + noise,
        )

    def moments(self) -> tuple[Array, Array]:
        """A0 (n, d, d) and E[xy] (n, d)."""
        basis = np.where(self.turned[:, None, None], HADAMARD, np.eye(DIRECTIONS))
        A0 = np.einsum("nji,nj,njk->nik", basis, self.eigenvalues, basis)
        return A0, np.einsum("nji,nj->ni", basis, self.signals)

    def from_minimum(self, weights: Array) -> Array:
        """(n, d), weights minus those at the minimum, along the eigenvectors."""
        along = np.where(self.turned[:, None], weights @ HADAMARD, weights)
        with np.errstate(invalid="ignore"):
            return along - self.signals / (self.eigenvalues + self.gammas[:, None])

    def excess(self, weights: Array) -> Array:
        """(n,), loss above the minimum, without cancellation."""
        stiffness = self.eigenvalues + self.gammas[:, None]
        return np.sum(stiffness * self.from_minimum(weights) ** 2, axis=1)


def nearest_stationary(
    a: Array, e: Array, Eyy: float, depth: int, gamma: float, size: float
) -> float:
    """Loss of the balanced stationary point whose |beta| is nearest to `size`, D >= 1, N = 1.

    beta_i = e_i / (a_i + mu) with mu = gamma |beta|^(-2D/(D+1)), and |beta| solves this.
    """

    def beta(r: float) -> Array:
        return e / (a + gamma * r ** (-2 * depth / (depth + 1)))

    def loss(r: float) -> float:
        b = beta(r)
        return float(b @ (a * b - 2 * e) + Eyy + gamma * (depth + 1) * r ** (2 / (depth + 1)))

    def miss(r: float) -> float:
        return float(np.log(np.linalg.norm(beta(r)) / r))

    width = 1e-9
    while miss(size * (1 - width)) * miss(size / (1 - width)) > 0:
        width *= 2
        if width > 0.5:
            raise ValueError(f"no stationary point near |beta| = {size:g}")
    return loss(brentq(miss, size * (1 - width), size / (1 - width), xtol=1e-300, rtol=1e-15))
