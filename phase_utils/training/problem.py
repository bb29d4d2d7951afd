"""What can be trained."""

from typing import Protocol

from torch import Tensor


class Problem(Protocol):
    """A loss of weights, for many sets of weights at once: what `train` asks of any object.

    Row i of what it returns depends on row i of the weights alone, for any number of rows.

    An object may define more, which is used where it is there: `penalty(weights) -> (n,)`, what
    gamma multiplies (default: total |w|^2); `order_parameter(weights) -> (n,)`;
    `value_and_gradient(weights, gamma)`, in place of automatic differentiation;
    `initial_weights(scale, seed)`; and `samples`, their number, with
    `data_loss(weights, rows)` for rows (n, b), the samples that each network is to use.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> class Well:
    ...     def data_loss(self, weights):
    ...         return (weights[0] - 1).square().sum(1)
    >>> pu.train(Well(), [torch.zeros(2, 1, dtype=torch.float64)], 1.0).weights[0].numpy().round(6)
    array([[0.5],
           [0.5]])
    """

    def data_loss(self, weights: tuple[Tensor, ...], /) -> Tensor:
        """The loss without decay.

        Parameters
        ----------
        weights : tuple of tensors (n, ...)
            One per weight array, the batch axis first.

        Returns
        -------
        Tensor
            (n,), differentiable by torch.
        """
        ...
