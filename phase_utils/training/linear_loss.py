"""The population loss of deep linear networks and its gradient, without noise and with it.

Weights are W^(0), ..., W^(D) = U, tensors (n, rows, columns): n networks at once.
"""

from collections.abc import Sequence

from torch import Tensor


def noise_free(
    weights: Sequence[Tensor], A0: Tensor, Exy: Tensor, Eyy: float
) -> tuple[Tensor, list[Tensor]]:
    """Data loss and gradient through beta alone: chains of products with k rows.

    A0 : (d, d); Exy : (k, d), the transpose of E[xy].
    """
    above = [weights[-1]]  # U ... W^(l+1) seen from below layer l, output side first
    for w in reversed(weights[:-1]):
        above.append(_rows(above[-1], w))
    beta = above.pop()
    image = beta @ A0
    loss = (beta * (image - 2 * Exy)).sum((1, 2)) + Eyy
    carried = 2 * (image - Exy)  # dl/dbeta (W^(l-1) ... W^(0))^T
    gradients = []
    for w in weights[:-1]:
        gradients.append(_outer(above.pop(), carried))
        carried = _rows(carried, w.mT)
    return loss, [*gradients, carried]


def noisy(
    weights: Sequence[Tensor], noises: Sequence[float], A0: Tensor, Exy: Tensor, Eyy: float
) -> tuple[Tensor, list[Tensor]]:
    """Data loss and gradient from second moments M_l of the neurons, carried upwards, and the
    sensitivities S_l = dloss/dM_l, carried downwards.

    M_D is never formed, for U M_D and the diagonal suffice, and S_D = U^T U plus a diagonal.
    """
    depth = len(noises)
    M, correlation = A0, [Exy]  # E[h h^T] and E[y h^T] of the layers h
    images = []  # W^(l) M_l
    for level, (w, s2) in enumerate(zip(weights[:-1], noises, strict=True)):
        images.append(w @ M)
        if level < depth - 1:
            M = images[-1] @ w.mT
            M.diagonal(dim1=-2, dim2=-1).mul_(1 + s2)
            correlation.append(_rows(correlation[-1], w.mT))
    U, top, s2 = weights[-1], weights[-2], noises[-1]
    below, seen = images[-1], correlation[-1]
    spread = s2 * (below * top).sum(2)  # of the noise on the neurons of the last layer
    above, image = _rows(U, top), _rows(U, below)  # U W^(D-1) and U W^(D-1) M_(D-1)
    loss = (above * (image - 2 * seen)).sum((1, 2)) + Eyy
    loss += (U.square().sum(1) * spread).sum(1)
    # of S_D the rank-k part and the diagonal part act apart; 2 S is what the gradients need
    twice, power = 2 * U, (2 * s2) * U.square().sum(1)[:, :, None]
    S = _outer(2 * above, above, top.mT @ (power * top)) if depth > 1 else top
    pulled = image - seen
    gradients = [2 * _rows(pulled, top.mT) + twice * spread[:, None]]
    gradients.append(_outer(twice, pulled, below.mul_(power)))
    for level in range(depth - 2, -1, -1):
        if level < depth - 2:
            w = weights[level + 1]
            S, above = w.mT @ (S @ w), _rows(above, w)
        S.diagonal(dim1=-2, dim2=-1).mul_(1 + noises[level])
        gradients.append(_outer(-2 * above, correlation[level], S @ images[level]))
    return loss, gradients[::-1]


# A batched matrix product with one row or one column is many times slower than its sum on a CPU.


def _rows(rows: Tensor, matrix: Tensor) -> Tensor:
    """The product (n, k, q) of k rows (n, k, p) and a matrix (n, p, q)."""
    if rows.shape[-2] == 1:
        return (rows.mT * matrix).sum(-2, keepdim=True)
    return rows @ matrix


def _outer(left: Tensor, right: Tensor, plus: Tensor | None = None) -> Tensor:
    """left^T right (n, p, q) for k rows (n, k, p) and (n, k, q), added to `plus` in place."""
    if left.shape[-2] == 1:
        return left.mT * right if plus is None else plus.addcmul_(left.mT, right)
    return left.mT @ right if plus is None else plus.add_(left.mT @ right)
