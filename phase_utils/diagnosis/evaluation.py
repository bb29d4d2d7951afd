"""A module, its loss and its data, evaluated at the weights that it has."""

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from phase_utils._check import shown, tried
from phase_utils.diagnosis.penalties import Penalty
from phase_utils.diagnosis.samples import Data, Gathered, gather, leaves, mapped, taken
from phase_utils.diagnosis.seeing import Mirrored, Unseeing, caller
from phase_utils.training import devices, passes
from phase_utils.training.trials import compared, copied

LAST_PLACES = 32  # units of the last place by which a loss may be wrong
LAST_PLACES_SINGLE = 4  # the same in float32, where the loss itself is taken in float64


class Evaluation:
    """Loss and penalty of a copy of a module on data, in passes that make one evaluation.

    In float64 where the module allows it. A random model (dropout, sampling) is an average over
    `draws` fixed draws, normal noise mirrored: every second draw is minus the one before. Samples
    that do not fit at once are taken in pieces, where the loss is a mean over samples.

    A blind evaluation is one of a network that cannot see its input: floating inputs are zero, and
    what is looked up by an integer input (embeddings, one-hot codes) is zero.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[[Any, Any], Tensor],
        data: Data,
        penalty: Penalty,
        *,
        draws: int | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.device = devices.resolve(device)
        self.penalty, self.seed = penalty, seed
        self._given: Callable[[Any, Any], Tensor] = loss_fn
        self.draws, self._mirror, self._few = 0, False, False
        self._chunks = [slice(None)]
        self._widen: Callable[[Any], Any] = lambda out: out
        samples = gather(data, self.device)
        self.count = self.total = samples.count
        self._settle(copied(model).to(self.device), samples)
        self.draws, self._mirror = self._randomness(draws)
        self._few = self._row_by_row()
        self._chunks = self._split()

    def _settle(self, own: nn.Module, samples: Gathered) -> None:
        """Choose float64 where the module allows it, else its own precision, and try it once."""
        kinds = {p.dtype for p in own.parameters()}
        choices = [torch.float64]
        if torch.float64 not in kinds:
            choices.append(torch.float32)
        failed: Exception | None = None
        for dtype in choices:
            self.dtype = dtype
            self.model = copied(own).to(dtype=dtype)
            self._buffers = list(self.model.buffers())
            self.loss_fn = self._cast_loss(self._given)
            self._widen = lambda out: out
            self.x, self.y = self._prepared(samples)
            self.blank = mapped(
                lambda t: torch.zeros_like(t) if t.is_floating_point() else t, self.x
            )
            self._inputs = {t.untyped_storage().data_ptr() for t in leaves(self.x)}
            self.call = caller(self.model, self.x)
            try:
                with (
                    self.context(False),
                    torch.random.fork_rng(self.forked()),
                    warnings.catch_warnings(),
                ):
                    warnings.simplefilter("ignore", UserWarning)  # shapes: refused below, by name
                    output = tried(_rule(self.x), self.call, self.x)
                    # an object of its own kind is handed on as it is, in the precision it has
                    if isinstance(output, Tensor | tuple):
                        self._widen = _doubled
                        self.y = self._prepared(samples)[1]
                    self.read = self._reader(output)
                    loss = self._tried_loss(self.read(self._widen(output)))
            except ValueError as error:
                failed = failed or error
                if "dtype" in str(error) or "Float" in str(error) or "Double" in str(error):
                    continue
                raise
            if not loss.isfinite():
                raise ValueError(
                    f"loss_fn must be finite at the weights of the model, got {float(loss)}"
                )
            wide = dtype == torch.float64
            self.rounding = (LAST_PLACES if wide else LAST_PLACES_SINGLE) * torch.finfo(dtype).eps
            return
        assert failed is not None
        raise failed

    def _tried_loss(self, output: Any) -> Tensor:
        if isinstance(self.y, Tensor):
            return compared(self.loss_fn, output, self.y)
        rule = "loss_fn must take the output of model and the y of data"
        loss: Any = tried(rule, self.loss_fn, output, self.y)
        if not isinstance(loss, Tensor) or loss.ndim or not loss.is_floating_point():
            raise ValueError(
                f"loss_fn must return a scalar, the mean over samples, got {shown(loss)}"
            )
        return loss

    def refuse_sum(self) -> None:
        """ValueError where the loss of all samples taken twice is twice as large."""

        def twice(t: Tensor) -> Tensor:
            return torch.cat([t, t]) if t.ndim and len(t) == self.count else t

        with torch.no_grad(), torch.random.fork_rng(self.forked()):
            self.seeded(self.seed)
            kept = [b.clone() for b in self._buffers]
            with self.context(False):
                output = self.read(self._widen(self.call(self.x)))
            for b, o in zip(self._buffers, kept, strict=True):
                b.data.copy_(o)
            doubled = mapped(twice, output)
            if self.count < 2 or not any(len(t) > self.count for t in leaves(doubled) if t.ndim):
                return
            try:
                once = float(self.loss_fn(output, self.y))
                loss = float(self.loss_fn(doubled, mapped(twice, self.y)))
            except Exception:  # a loss may want its own number of samples
                return
        if once != 0 and math.isclose(loss, 2 * once, rel_tol=1e2 * self.rounding):
            raise ValueError(
                "loss_fn must be a mean over samples, got a sum, whose gamma would grow with their "
                f"number, here {self.count}: pass reduction='mean'. A step on the sum over a batch "
                "of B samples at weight_decay is one on the mean at weight_decay / B"
            )

    def _cast_loss(self, loss_fn: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        if isinstance(loss_fn, nn.Module):
            return copied(loss_fn).to(device=self.device, dtype=torch.float64)
        return loss_fn

    def _prepared(self, samples: Gathered) -> tuple[Any, Any]:
        """X in the precision of the module, and y in that of the loss."""
        y = samples.y if self._widen is _doubled else mapped(self._typed, samples.y)
        return mapped(self._typed, samples.x), self._widen(y)

    def _typed(self, t: Tensor) -> Tensor:
        return t.to(self.dtype) if t.is_floating_point() else t

    def _reader(self, output: Any) -> Callable[[Any], Any]:
        """What the loss is given: the output, or its logits where the loss does not take it."""
        try:
            self.loss_fn(self._widen(output), self.y)
        except Exception:  # the user's own function may raise anything
            logits = output.get("logits") if isinstance(output, Mapping) else None
            logits = getattr(output, "logits", logits)
            if isinstance(logits, Tensor):
                return lambda out: out["logits"] if isinstance(out, Mapping) else out.logits
        return lambda out: out

    def seeded(self, seed: int) -> None:
        """Seed what the module draws from; torch.manual_seed asks every kind of device, slowly."""
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def forked(self) -> list[torch.device]:
        """Devices whose generators are put back, besides the CPU's."""
        return [self.device] if self.device.type == "cuda" else []

    def _randomness(self, draws: int | None) -> tuple[int, bool]:
        """How many draws the expectation needs: none for a model that gives the same loss twice."""
        with torch.no_grad(), torch.random.fork_rng(self.forked()):
            self.seeded(self.seed)
            once = float(self._pass(False, slice(None))[0])
            again = float(self._pass(False, slice(None))[0])
        if math.isclose(once, again, rel_tol=1e-6 if self.dtype == torch.float32 else 1e-12):
            return 0, False
        with torch.no_grad(), torch.random.fork_rng(self.forked()):
            pair = []
            for flip in (False, True):
                self.seeded(self.seed)
                pair.append(float(self._pass(False, slice(None), flip)[0]))
        return (8 if draws is None else draws), pair[0] != pair[1]

    def _row_by_row(self) -> bool:
        """Whether a blind network gives every sample what it gives the first two."""
        if self.draws or any(len(t) != self.count or t.ndim == 0 for t in leaves(self.x)):
            return False
        two = taken(self.blank, slice(2))
        try:
            with torch.no_grad(), self.context(True):
                whole, part = self.call(self.blank), self.call(two)
        except Exception:  # a module may want its own number of samples
            return False
        if not (isinstance(whole, Tensor) and whole.ndim and len(whole) == self.count):
            return False
        part = part[:1].expand_as(whole)
        return bool(torch.allclose(whole, part, rtol=1e2 * self.rounding, atol=1e-12))

    def _split(self) -> list[slice]:
        """Pieces of the samples whose activations fit, where the loss is a mean over samples."""
        with passes.counted(self.model) as counts:
            whole = self._loss()
        pieces = passes.cut(self.count, sum(counts) / max(self.draws, 1))
        sliced = all(len(t) == self.count for v in (self.x, self.y) for t in leaves(v))
        if len(pieces) == 1 or not sliced or self.draws or self.penalty.takes_output:
            return [slice(None)]
        self._chunks = pieces
        if math.isclose(self._loss(), whole, rel_tol=1e2 * self.rounding):
            return self._chunks
        return [slice(None)]  # no mean over samples: batch statistics, a sum

    @contextlib.contextmanager
    def context(self, blind: bool, flip: bool = False) -> Iterator[None]:
        """Call the module in its precision, blind to its input or with mirrored noise."""
        default = torch.get_default_dtype()
        if default != self.dtype:
            torch.set_default_dtype(self.dtype)  # tensors made inside a module
        try:
            with contextlib.ExitStack() as stack:
                if blind:
                    stack.enter_context(Unseeing(self._inputs, self.count))
                if flip:
                    stack.enter_context(Mirrored())
                yield
        finally:
            if default != self.dtype:
                torch.set_default_dtype(default)

    def _pass(self, blind: bool, chunk: slice, flip: bool = False) -> tuple[Tensor, Tensor | float]:
        """Loss and, for a penalty that is a function, R of one pass over some samples."""
        x, y = self.blank if blind else self.x, self.y
        if chunk != slice(None):
            x, y = taken(x, chunk), taken(y, chunk)
        return self._of(x, y, blind, flip)

    def _of(self, x: Any, y: Any, blind: bool, flip: bool = False) -> tuple[Tensor, Tensor | float]:
        """Loss and, for a penalty that is a function, R of one pass over these samples."""
        kept = [b.clone() for b in self._buffers] if self.model.training else []
        few = blind and self._few
        if few:
            x = taken(x, slice(2))
        with self.context(blind, flip):
            output = self.call(x)
            if few:
                output = output[:1].expand(next(leaves(y)).shape[0], *output.shape[1:])
            loss = self.loss_fn(self.read(self._widen(output)), y)
            cost: Tensor | float = 0.0
            if self.penalty.function is not None:
                function = self.penalty.function
                cost = (
                    function(self.model, output)
                    if self.penalty.takes_output
                    else function(self.model)
                )
        for b, o in zip(self._buffers, kept, strict=False):
            b.data.copy_(o)  # running statistics are no variables
        return loss, cost

    def passes(
        self, blind: bool, seed: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor | float, float]]:
        """Losses, penalties and weights of all passes that make one evaluation."""
        if not self.draws:
            for chunk in self._chunks if not (blind and self._few) else [slice(None)]:
                share = 1.0
                if chunk != slice(None):
                    share = len(range(*chunk.indices(self.count))) / self.count
                yield *self._pass(blind, chunk), share
            return
        first = 1000 * (self.seed if seed is None else seed)
        with torch.random.fork_rng(self.forked()):
            for k in range(self.draws):
                self.seeded(first + (k // 2 if self._mirror else k))
                flip = self._mirror and k % 2 == 1
                yield *self._pass(blind, slice(None), flip), 1 / self.draws

    def _loss(self) -> float:
        with torch.no_grad():
            return sum(share * float(value) for value, _, share in self.passes(False))


def _doubled(tree: Any) -> Any:
    return mapped(lambda t: t.double() if t.is_floating_point() else t, tree)


def _rule(x: Any) -> str:
    if isinstance(x, Tensor):
        return f"model must take the x of data, {x.dtype} {tuple(x.shape)}"
    return f"model must take the x of data, {shown(mapped(lambda t: tuple(t.shape), x))}"
