"""The landscape in arithmetic of sixty digits, by another route than the package's.

Where 0 < D < inf and the penalty is |w|^2 the stationary points are those of Eq. 6 in u = B^2; at
other powers those of the loss of ridge solutions. They are bracketed on a grid in ln z, with z the
inverse of the equivalent ridge penalty, and bisected. Ridge regression (D = 0) and infinite depth
have closed forms.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import mpmath
from mpmath import exp, inf, log, mpf

mpmath.mp.dps = 60

Function = Callable[[mpf], mpf]
ONE, TWO = mpf(1), mpf(2)
ACCURACY = mpf(10) ** -50  # of roots
NEAR = [mpf(k) / 2 for k in range(-16, 17)]  # of the grid about every mode, in ln z
FAR = [s * (8 + 6 * mpf("1.3") ** k) for s in (-1, 1) for k in range(30)]
FAR += [s * mpf(10) ** k for s in (-1, 1) for k in range(5, 15)]  # where a power is absurd


@dataclass
class State:
    """A stationary state: E[y^2] less its loss, B, the penalty T of gamma, and ln z."""

    gain: mpf
    B: mpf
    T: mpf
    t: mpf


@dataclass
class Problem:
    """Modes a_i and e_i with depth, noise factor, mean decay ratio and power."""

    a: list[mpf]
    e: list[mpf]
    depth: mpf
    noise: mpf = ONE
    ratio: mpf = ONE
    power: mpf = TWO
    _sums: dict[mpf, mpf] = field(default_factory=dict)
    _states: dict[mpf, list[State]] = field(default_factory=dict)

    @cached_property
    def modes(self) -> list[tuple[mpf, mpf]]:
        """(N a_i, e_i^2) of the modes that matter."""
        pairs = zip(self.a, self.e, strict=True)
        return [(self.noise * a, e * e) for a, e in pairs if a > 0 and e != 0]

    @property
    def trivial(self) -> State:
        return State(mpf(0), mpf(0), mpf(0), -inf)

    @cached_property
    def exponent(self) -> mpf:
        """Of |beta| in the penalty."""
        return mpf(0) if mpmath.isinf(self.depth) else self.power / (self.depth + 1)

    def log_G(self, t: mpf) -> mpf:
        """Logarithm of sum_i e_i^2 / (1 + N a_i z)^2."""
        if t not in self._sums:
            z = exp(t)
            self._sums[t] = log(mpmath.fsum(f / (1 + h * z) ** 2 for h, f in self.modes))
        return self._sums[t]

    def state(self, t: mpf, gamma: mpf) -> State:
        """The stationary state at ln z = t and gamma."""
        z, m = exp(t), self.depth + 1
        if self.power == 2 and self.depth > 0:
            u = exp((t + log(gamma * self.ratio)) / self.depth)
            taken = mpmath.fsum(f * z / (h * z + 1) for h, f in self.modes)
            gain = taken - gamma * self.ratio * self.depth * u
            return State(gain, mpmath.sqrt(u), self.ratio * m * u, t)
        log_beta = t + self.log_G(t) / 2
        taken = mpmath.fsum(f / h * (1 - 1 / (1 + h * z) ** 2) for h, f in self.modes)
        T = (self.ratio * m) ** (self.power / 2) * exp(self.exponent * log_beta)
        return State(taken - gamma * T, exp(log_beta / m), T, t)

    def log_gamma(self, t: mpf) -> mpf:
        """Logarithm of the gamma at which the ridge solution of penalty e^-t is stationary."""
        if mpmath.isinf(self.depth):  # of the limit at p = 2
            return t + self.log_G(t) - log(self.ratio)
        m, log_beta = self.depth + 1, t + self.log_G(t) / 2
        per_beta = log(self.exponent) + self.power / 2 * log(self.ratio * m)
        return log(2) + 2 * log_beta - t - per_beta - self.exponent * log_beta

    def force(self, gamma: mpf) -> Function:
        """A function of t, positive where the loss falls with it, zero where it is stationary."""
        if self.power != 2 or self.depth == 0:
            return lambda t: self.log_gamma(t) - log(gamma)
        here = log(gamma * self.ratio)

        def equation_6(t: mpf) -> mpf:  # ln [u^(D-1) sum_i e_i^2 / (N a_i u^D + gamma)^2]
            return (self.depth - 1) * (t + here) / self.depth - 2 * here + self.log_G(t)

        return equation_6

    @cached_property
    def grid(self) -> list[mpf]:
        return sorted({x - log(h) for h, _ in self.modes for x in (*NEAR, *FAR)})

    def roots(self, function: Function) -> list[mpf]:
        """All zeros, the close pairs beside an extremum of the grid among them."""
        t = self.grid
        value = [function(x) for x in t]
        found = []
        for i in range(1, len(t) - 1):
            before, here, after = value[i - 1 : i + 2]
            if before * here > 0 and here * after > 0 and abs(here) < min(abs(before), abs(after)):
                sign = mpmath.sign(here)
                x = _least(lambda x, sign=sign: sign * function(x), t[i - 1], t[i + 1])
                if function(x) * sign < 0:
                    found += [_zero(function, t[i - 1], x), _zero(function, x, t[i + 1])]
        for i in range(len(t) - 1):
            if value[i] == 0:
                found.append(t[i])
            elif value[i] * value[i + 1] < 0:
                found.append(_zero(function, t[i], t[i + 1]))
        return sorted(found)

    def stationary(self, gamma: mpf) -> list[State]:
        """All stationary states with B > 0, ascending."""
        if gamma not in self._states:
            roots = self.roots(self.force(gamma))
            self._states[gamma] = [self.state(t, gamma) for t in roots]
        return self._states[gamma]

    def least(self, gamma: mpf) -> State:
        """The global minimum; at gamma = 0 the limit from above, except at infinite depth."""
        if not self.modes or (mpmath.isinf(self.depth) and gamma > 0):
            return self.trivial
        if gamma == 0 or (self.depth == 0 and self.power == 2):
            mu = gamma * self.ratio
            norm = mpmath.sqrt(mpmath.fsum(f / (h + mu) ** 2 for h, f in self.modes))
            gain = mpmath.fsum(f / (h + mu) for h, f in self.modes)
            if mpmath.isinf(self.depth):
                return State(gain, ONE, inf, inf)
            B = norm ** (1 / (self.depth + 1))
            T = (self.ratio * (self.depth + 1) * B * B) ** (self.power / 2)
            return State(gain, B, T, -log(mu) if mu else inf)
        return max([self.trivial, *self.stationary(gamma)], key=lambda state: state.gain)

    @cached_property
    def turning_points(self) -> list[mpf]:
        """The t at which gamma turns along the curve of ridge solutions."""
        if self.exponent >= 1:
            return []
        threshold = (1 - self.exponent) / (2 - self.exponent)

        def excess(t: mpf) -> mpf:
            z = exp(t)
            weights = [f / (1 + h * z) ** 2 for h, f in self.modes]
            q = [h * z / (1 + h * z) for h, _ in self.modes]
            return mpmath.fdot(weights, q) / mpmath.fsum(weights) - threshold

        return self.roots(excess)

    def coexistence(self, gamma: mpf, B_below: mpf, B_above: mpf) -> tuple[mpf, State, State]:
        """The gamma nearby at which the states of these B have the same loss, and the states."""
        for _ in range(8):
            states = [self.trivial, *self.stationary(gamma)]
            below = min(states[1:], key=lambda state: abs(log(state.B / B_below)))
            above = min(states, key=lambda state: abs(state.B - B_above))
            step = (above.gain - below.gain) / (below.T - above.T)
            gamma -= step
            if abs(step) < mpf(10) ** -40 * gamma:
                break
        return gamma, below, above


def _zero(function: Function, a: mpf, b: mpf) -> mpf:
    """The zero between a and b, at which the signs differ, by the Illinois method."""
    at_a, at_b = function(a), function(b)
    while abs(b - a) > ACCURACY * max(ONE, abs(b)) and at_b != 0:
        x = b - at_b * (b - a) / (at_b - at_a)
        value = function(x)
        if value * at_b < 0:
            a, at_a = b, at_b
        else:
            at_a /= 2
        b, at_b = x, value
    return b


def _least(function: Function, a: mpf, b: mpf) -> mpf:
    """The place of the minimum between a and b by golden sections, or one where it is below 0."""
    ratio = (mpmath.sqrt(5) - 1) / 2
    for _ in range(140):
        c, d = b - ratio * (b - a), a + ratio * (b - a)
        at_c, at_d = function(c), function(d)
        if min(at_c, at_d) < 0:
            return c if at_c < 0 else d
        a, b = (a, d) if at_c < at_d else (c, b)
    return (a + b) / 2
