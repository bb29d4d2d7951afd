"""ResNet18 for small images, of any width, with batch normalisation or without."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from phase_utils._check import integer, one_of, scalar
from phase_utils.training.tensors import floating

NORMALISATIONS = ("batch", "none")
BLOCKS = 2  # in each stage, of two 3 x 3 convolutions


class ResNet18(nn.Module):
    """The residual network of Fig. 2(c) and (d), in its form for CIFAR: a 3 x 3 stem, no pooling.

    Four stages of two blocks; each stage after the first halves the image and doubles the channels,
    through a 1 x 1 convolution on its shortcut. Global average, then a linear output.

    Parameters
    ----------
    channels : int
        Of the images, 1 to 10,000.
    outputs : int
        Of the last layer, 1 to 10,000.
    width : int
        Channels of the first stage, 1 to 1024; 64 gives 1.1e7 parameters.
    normalisation : {"batch", "none"}
        "batch" after every convolution, and an output bias; or "none", where the network has
        convolutions and a matrix alone, and is positively homogeneous in each.
    eps : float
        What batch normalisation adds to the variance, > 0.

    Raises
    ------
    ValueError
        For a number or a word out of range.

    Notes
    -----
    Without normalisation the second convolution of every block starts at 1 / sqrt(8) of its usual
    size, 8 being the number of blocks, so that the signal keeps its order of magnitude.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> model = pu.ResNet18(width=4)
    >>> tuple(model(torch.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    >>> sum(p.numel() for p in pu.ResNet18(outputs=10).parameters())
    11173962
    """

    def __init__(
        self,
        channels: int = 3,
        outputs: int = 10,
        *,
        width: int = 64,
        normalisation: str = "batch",
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        channels = integer("channels", channels, minimum=1, maximum=10_000)
        outputs = integer("outputs", outputs, minimum=1, maximum=10_000)
        width = integer("width", width, minimum=1, maximum=1024)
        batch = one_of("normalisation", normalisation, NORMALISATIONS) == "batch"
        eps = scalar("eps", eps, minimum=0, strict=True)
        self.channels = channels
        self.stem = _convolution(channels, width, 3, 1, batch, eps)
        sizes = [width, width, 2 * width, 4 * width, 8 * width]
        blocks = []
        for stage, (below, above) in enumerate(pairwise(sizes)):
            blocks.append(_Block(below, above, 2 if stage else 1, batch, eps))
            blocks += [_Block(above, above, 1, batch, eps) for _ in range(BLOCKS - 1)]
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Linear(sizes[-1], outputs, bias=batch)
        if not batch:
            with torch.no_grad():
                for block in blocks:
                    next(block.second.parameters()).mul_(len(blocks) ** -0.5)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer reads.

        Parameters
        ----------
        x : (n, channels, height, width) tensor
            Images.

        Returns
        -------
        Tensor
            (n, 8 width).
        """
        floating("x", x, None, self.channels, None, None)
        return self.blocks(self.stem(x).relu()).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of images.

        Parameters
        ----------
        x : (n, channels, height, width) tensor
            Images.

        Returns
        -------
        Tensor
            (n, outputs).
        """
        return self.out(self.features(x))


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which is the identity where the shape stays."""

    def __init__(self, below: int, above: int, stride: int, batch: bool, eps: float) -> None:
        super().__init__()
        self.first = _convolution(below, above, 3, stride, batch, eps)
        self.second = _convolution(above, above, 3, 1, batch, eps)
        changes = stride > 1 or below != above
        self.shortcut = (
            _convolution(below, above, 1, stride, batch, eps) if changes else nn.Sequential()
        )

    def forward(self, x: Tensor) -> Tensor:
        return (self.shortcut(x) + self.second(self.first(x).relu())).relu()


def _convolution(
    below: int, above: int, size: int, stride: int, batch: bool, eps: float
) -> nn.Sequential:
    layer = nn.Conv2d(below, above, size, stride, size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(layer, nn.BatchNorm2d(above, eps=eps)) if batch else nn.Sequential(layer)
