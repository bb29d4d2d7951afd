"""The loss l0 and the penalty R of any module as functions of one flat vector of its weights."""

import contextlib
import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from phase_utils._check import Array, shown, tried
from phase_utils.diagnosis.penalties import Penalty
from phase_utils.diagnosis.samples import Gathered, gather, leaves, mapped
from phase_utils.training import devices
from phase_utils.training.modules import ACTIVATIONS
from phase_utils.training.trials import compared, copied

NORMAL = (torch.randn, torch.randn_like)
LOOKUPS = (
    torch.embedding,
    torch.embedding_bag,
    nn.functional.embedding,
    nn.functional.embedding_bag,
    nn.functional.one_hot,
)
LAST_PLACES = 32  # units of the last place by which a loss may be wrong
LAST_PLACES_SINGLE = 4  # the same in float32, where the loss itself is taken in float64
PIECES = 3  # L-BFGS evaluations allowed for each iteration


class Objective:
    """l0 + gamma R of a module on data; weights are flat float64 vectors of what can be trained.

    The coordinates are scaled by the roots of the decay factors, so that R is the square norm of
    the decayed ones (`mask`), whatever the factors; `named` returns parameters in the module's own
    scale. A random model (dropout, sampling) is an average over `draws` fixed draws, normal noise
    mirrored: every second draw is minus the one before.

    A blind evaluation is one of a network that cannot see its input: floating inputs are zero, and
    what is looked up by an integer input (embeddings, one-hot codes) is zero.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[[Any, Any], Tensor],
        data: Any,
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
        own = copied(model).to(self.device)
        samples = gather(data, self.device)
        self.count = samples.count
        self._settle(own, samples)
        parameters = [(k, p) for k, p in self.model.named_parameters() if p.requires_grad]
        self.names = tuple(k for k, _ in parameters)
        self.shapes = tuple(p.shape for _, p in parameters)
        self._parameters = [p for _, p in parameters]
        edges = np.cumsum([0, *(p.numel() for p in self._parameters)])
        self.slices = {
            k: slice(a, b) for k, (a, b) in zip(self.names, pairwise(edges), strict=True)
        }
        self.parameters = int(edges[-1])
        self._flat = torch.cat([p.detach().reshape(-1) for p in self._parameters]).clone()
        for p, (a, b) in zip(self._parameters, pairwise(edges), strict=True):
            p.data = self._flat[a:b].view(p.shape)
        factors = np.zeros(self.parameters)
        for name, factor in penalty.factors.items():
            factors[self.slices[name]] = factor
        self.decays = factors > 0
        self._unit = np.where(self.decays, 1 / np.sqrt(np.where(factors > 0, factors, 1.0)), 1.0)
        self.first = self._flat.double().cpu().numpy() / self._unit
        self.calls = 0
        self.draws, self._mirror = self._randomness(draws)
        self._few = self._row_by_row()
        self._chunks = self._split()

    # ---------------------------------------------------------------- setting up

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
            self.loss_fn = self._cast_loss(self._given)
            self.x, self.y = mapped(self._typed, samples.x), mapped(self._typed, samples.y)
            self.blank = mapped(
                lambda t: torch.zeros_like(t) if t.is_floating_point() else t, self.x
            )
            self._inputs = {t.untyped_storage().data_ptr() for t in leaves(self.x)}
            self._call = self.caller(self.model)
            try:
                with (
                    self._context(False),
                    torch.random.fork_rng(self._forked()),
                    warnings.catch_warnings(),
                ):
                    warnings.simplefilter("ignore", UserWarning)  # shapes: refused below, by name
                    output = tried(_rule(self.x), self._call, self.x)
                    # an object of its own kind is handed on as it is, in the precision it has
                    if isinstance(output, Tensor | tuple):
                        self._widen = _doubled
                        self.y = _doubled(samples.y)
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

    def _cast_loss(self, loss_fn: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        if isinstance(loss_fn, nn.Module):
            return copied(loss_fn).to(device=self.device, dtype=torch.float64)
        return loss_fn

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

    def _forked(self) -> list[torch.device]:
        return [self.device] if self.device.type == "cuda" else []

    def _randomness(self, draws: int | None) -> tuple[int, bool]:
        """How many draws the expectation needs: none for a model that gives the same loss twice."""
        with torch.no_grad(), torch.random.fork_rng(self._forked()):
            torch.manual_seed(self.seed)
            once = float(self._pass(False, slice(None))[0])
            again = float(self._pass(False, slice(None))[0])
        if math.isclose(once, again, rel_tol=1e-6 if self.dtype == torch.float32 else 1e-12):
            return 0, False
        with torch.no_grad(), torch.random.fork_rng(self._forked()):
            pair = []
            for flip in (False, True):
                torch.manual_seed(self.seed)
                pair.append(float(self._pass(False, slice(None), flip)[0]))
        return (8 if draws is None else draws), pair[0] != pair[1]

    def _row_by_row(self) -> bool:
        """Whether a blind network gives every sample what it gives the first two."""
        if self.draws or any(len(t) != self.count or t.ndim == 0 for t in leaves(self.x)):
            return False
        two = mapped(lambda t: t[:2], self.blank)
        try:
            with torch.no_grad(), self._context(True):
                whole, part = self._call(self.blank), self._call(two)
        except Exception:  # a module may want its own number of samples
            return False
        if not (isinstance(whole, Tensor) and whole.ndim and len(whole) == self.count):
            return False
        part = part[:1].expand_as(whole)
        return bool(torch.allclose(whole, part, rtol=1e2 * self.rounding, atol=1e-12))

    def _split(self) -> list[slice]:
        """Pieces of the samples whose activations fit, where the loss is a mean over samples."""
        counts: list[int] = []
        hooks = [
            m.register_forward_hook(
                lambda _m, _i, out: counts.append(sum(t.numel() for t in leaves(out)))
            )
            for m in self.model.modules()
            if not list(m.children())
        ]
        whole = self.values(self.first)[0]
        for hook in hooks:
            hook.remove()
        held = sum(counts) / max(self.draws, 1)
        pieces = int(min(np.ceil(held / ACTIVATIONS), self.count))
        sliced = all(len(t) == self.count for v in (self.x, self.y) for t in leaves(v))
        if pieces <= 1 or not sliced or self.draws or self.penalty.takes_output:
            return [slice(None)]
        edges = np.linspace(0, self.count, pieces + 1).astype(int)
        self._chunks = [slice(int(a), int(b)) for a, b in pairwise(edges) if b > a]
        if math.isclose(self.values(self.first)[0], whole, rel_tol=1e2 * self.rounding):
            return self._chunks
        return [slice(None)]  # no mean over samples: batch statistics, a sum

    # ---------------------------------------------------------------- evaluation

    @contextlib.contextmanager
    def _context(self, blind: bool, flip: bool = False) -> Iterator[None]:
        default = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)  # tensors made inside a module
        try:
            with contextlib.ExitStack() as stack:
                if blind:
                    stack.enter_context(_Unseeing(self._inputs, self.count))
                if flip:
                    stack.enter_context(_Mirrored())
                yield
        finally:
            torch.set_default_dtype(default)

    def _pass(self, blind: bool, chunk: slice, flip: bool = False) -> tuple[Tensor, Tensor | float]:
        """Loss and, for a penalty that is a function, R of one pass over some samples."""
        kept = [b.clone() for b in self.model.buffers()] if self.model.training else []
        x, y = self.blank if blind else self.x, self.y
        if chunk != slice(None):
            x, y = (mapped(lambda t: t[chunk], v) for v in (x, y))
        few = blind and self._few
        if few:
            x = mapped(lambda t: t[:2], x)
        with self._context(blind, flip):
            output = self._call(x)
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
        for b, o in zip(self.model.buffers(), kept, strict=False):
            b.data.copy_(o)  # running statistics are no variables
        return loss, cost

    def _passes(self, blind: bool) -> Iterator[tuple[Tensor, Tensor | float, float]]:
        """Losses, penalties and weights of all passes that make one evaluation."""
        if not self.draws:
            for chunk in self._chunks if not (blind and self._few) else [slice(None)]:
                share = 1.0
                if chunk != slice(None):
                    share = len(range(*chunk.indices(self.count))) / self.count
                yield *self._pass(blind, chunk), share
            return
        with torch.random.fork_rng(self._forked()):
            for k in range(self.draws):
                torch.manual_seed(1000 * self.seed + (k // 2 if self._mirror else k))
                flip = self._mirror and k % 2 == 1
                yield *self._pass(blind, slice(None), flip), 1 / self.draws

    def _set(self, w: Array) -> None:
        self._flat.copy_(torch.from_numpy(np.ascontiguousarray(w * self._unit)))

    def square(self, w: Array) -> float:
        """The square norm of the decayed weights."""
        kept = w[self.decays]
        return float(kept @ kept)

    def values(self, w: Array, blind: bool = False) -> tuple[float, float]:
        """l0 and R."""
        self._set(w)
        loss = cost = 0.0
        self.calls += 1
        with torch.no_grad():
            for value, penalty, share in self._passes(blind):
                loss += share * float(value)
                cost += share * float(penalty)
        return loss, (cost if self.penalty.function is not None else self.square(w))

    def gradient(self, w: Array, gamma: float, blind: bool = False) -> tuple[float, float, Array]:
        """l0, R and the gradient of l0 + gamma R."""
        self._set(w)
        loss = cost = 0.0
        self.calls += 1
        total = torch.zeros_like(self._flat)
        with torch.enable_grad():
            for value, penalty, share in self._passes(blind):
                loss += share * float(value.detach())
                whole = value
                if isinstance(penalty, Tensor):
                    cost += share * float(penalty.detach())
                    whole = value + gamma * penalty
                if whole.requires_grad:
                    parts = torch.autograd.grad(
                        whole, self._parameters, allow_unused=True, materialize_grads=True
                    )
                    total += share * torch.cat([p.reshape(-1) for p in parts])
        g = total.double().cpu().numpy() * self._unit
        if self.penalty.function is None:
            return loss, self.square(w), g + 2 * gamma * np.where(self.decays, w, 0.0)
        return loss, cost, g

    def output(self, w: Array) -> Tensor | None:
        """What the module returns for the data, its first tensor; None if it has no tensor."""
        self._set(w)
        with torch.no_grad(), torch.random.fork_rng(self._forked()):
            torch.manual_seed(1000 * self.seed)
            kept = [b.clone() for b in self.model.buffers()]
            with self._context(False):
                out = self.read(self._call(self.x))
            for b, o in zip(self.model.buffers(), kept, strict=True):
                b.data.copy_(o)
        if isinstance(out, Mapping) and "logits" in out:
            return out["logits"]
        logits = getattr(out, "logits", out)
        return next((t for t in leaves(logits) if t.is_floating_point()), None)

    def minimise(
        self,
        w: Array,
        gamma: float,
        *,
        iterations: int = 150,
        blind: bool = False,
        scale: float = 1.0,
        live: Array | None = None,
    ) -> tuple[Array, float, float]:
        """Weights of lower l0 + gamma R by L-BFGS from `w`, never higher; then l0 and R there.

        scale : what counts as one unit of the loss; live : coordinates that may move, default all.
        """
        start = self.gradient(w, gamma, blind)
        level = start[0] + gamma * start[1]
        lowest, best = level, (w.copy(), start[0], start[1])
        if not math.isfinite(level):
            return w, math.inf, math.inf

        def objective(v: Array) -> tuple[float, Array]:
            nonlocal lowest, best
            loss, cost, g = self.gradient(v, gamma, blind)
            total = loss + gamma * cost
            if not (math.isfinite(total) and np.isfinite(g).all()):
                return 1e10, np.zeros_like(v)
            if total < lowest:
                lowest, best = total, (v.copy(), loss, cost)
            return (total - level) / scale, (g if live is None else g * live) / scale

        left, v = iterations, w
        while left > 0:
            run = minimize(
                objective,
                v,
                jac=True,
                method="L-BFGS-B",
                options={
                    "maxiter": left,
                    "maxfun": PIECES * left,
                    "maxcor": 20,
                    "ftol": 1e-15,
                    "gtol": 1e-12,
                },
            )
            left -= max(run.nit, 1)
            moved = float(np.abs(run.x - v).max())
            v = run.x
            if run.nit < 3 or moved < 1e-13:  # a kink ends L-BFGS early: once more from there
                break
        return best

    # ---------------------------------------------------------------- as a problem of the package

    @property
    def mask(self) -> Tensor:
        """Which weights are decayed, (P,) boolean."""
        return torch.from_numpy(self.decays)

    @property
    def start(self) -> Tensor:
        """The weights of the module, flat."""
        return torch.from_numpy(self.first.copy())

    @property
    def decayed(self) -> tuple[str, ...]:
        """Names of the decayed parameters."""
        return tuple(k for k in self.names if k in self.penalty.factors)

    def losses(self, rows: Tensor) -> Tensor:
        """l0 of every row of flat weights."""
        return torch.tensor([self.values(r.cpu().numpy())[0] for r in rows], dtype=torch.float64)

    def evaluate(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """l0 and its gradient of every row of flat weights."""
        found = [self.gradient(r.cpu().numpy(), 0.0) for r in rows]
        loss = torch.tensor([f[0] for f in found], dtype=torch.float64)
        return loss, torch.from_numpy(np.stack([f[2] for f in found]))

    def value_and_gradient(
        self, weights: Sequence[Tensor], gamma: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """l0 + gamma R and its gradient for rows of weights by parameter, as `train` asks."""
        rows = torch.cat([w.reshape(len(w), -1) for w in weights], 1).double().cpu().numpy()
        found = [self.gradient(r, float(k)) for r, k in zip(rows, gamma, strict=True)]
        total = torch.tensor([f[0] + float(k) * f[1] for f, k in zip(found, gamma, strict=True)])
        flat = torch.from_numpy(np.stack([f[2] for f in found]))
        parts = flat.split([s.numel() for s in self.shapes], dim=1)
        return total.double(), tuple(
            p.reshape(len(rows), *s) for p, s in zip(parts, self.shapes, strict=True)
        )

    def hessian_product(self, row: Tensor, vector: Tensor) -> Tensor:
        """The Hessian of l0 at flat weights times a vector."""
        self._set(row.cpu().numpy())
        unit = torch.from_numpy(self._unit).to(self._flat)
        direction = vector.to(self._flat) * unit
        pieces = direction.split([s.numel() for s in self.shapes])
        total = torch.zeros_like(self._flat)
        with torch.enable_grad():
            for value, _, share in self._passes(False):
                if not value.requires_grad:
                    continue
                first = torch.autograd.grad(
                    value,
                    self._parameters,
                    create_graph=True,
                    allow_unused=True,
                    materialize_grads=True,
                )
                along = sum((g * p.view_as(g)).sum() for g, p in zip(first, pieces, strict=True))
                if not (isinstance(along, Tensor) and along.requires_grad):
                    continue
                second = torch.autograd.grad(
                    along, self._parameters, allow_unused=True, materialize_grads=True
                )
                total += share * torch.cat([h.reshape(-1) for h in second])
        return (total * unit).double().cpu()

    def sample_losses(self, row: Tensor) -> Tensor:
        """The loss of every sample, (n,); ValueError where the loss is no mean over samples."""
        self._set(row.cpu().numpy())
        with torch.no_grad(), self._context(False):
            out = self.read(self._call(self.x))
            if not isinstance(out, Tensor) or not isinstance(self.y, Tensor):
                raise ValueError("loss_fn must be a mean over samples of one output")
            parts = [self.loss_fn(out[i : i + 1], self.y[i : i + 1]) for i in range(self.count)]
        losses = torch.stack(parts).double().cpu()
        if not math.isclose(float(losses.mean()), self.values(row.cpu().numpy())[0], rel_tol=1e-9):
            raise ValueError("loss_fn must be the mean over samples, got another combination")
        return losses

    def random(self, scale: float, seeds: Sequence[int]) -> Tensor:
        """(len(seeds), P) flat weights of about unit gain, as `ModuleProblem.random` draws them."""
        rows = []
        for seed in seeds:
            rng, w = np.random.default_rng(seed), self.first.copy()
            for name, shape in zip(self.names, self.shapes, strict=True):
                part = self.slices[name]
                if self.decays[part].any():
                    fan = max(1, math.prod(shape[1:]))
                    w[part] = scale * rng.standard_normal(shape.numel()) / math.sqrt(fan)
                    w[part] /= self._unit[part]
            rows.append(torch.from_numpy(w))
        return torch.stack(rows)

    def caller(self, model: nn.Module) -> Callable[[Any], Any]:
        """How a module like this one takes its inputs: several of a tuple, named ones, or one."""
        return _caller(model, self.x)

    def scaled(self, own: Array) -> Array:
        """Flat weights in the coordinates used here, of parameters in the module's own scale."""
        return own / self._unit

    def named(self, w: Array | Tensor) -> dict[str, Tensor]:
        """Parameters by name in the module's own scale, as `load_state_dict` takes them."""
        flat = w.cpu().numpy() if isinstance(w, Tensor) else w
        own = torch.from_numpy(np.ascontiguousarray(flat * self._unit))
        parts = own.split([s.numel() for s in self.shapes])
        return {k: p.reshape(s) for k, p, s in zip(self.names, parts, self.shapes, strict=True)}


class _Mirrored(TorchFunctionMode):
    """Normal noise with the opposite sign."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in NORMAL:
            return -out
        if func is torch.normal and isinstance(out, Tensor) and args:
            return 2 * args[0] - out
        return out


class _Unseeing(TorchFunctionMode):
    """What an integer input looks up is zero; positions, the same for all samples, stay."""

    def __init__(self, inputs: set[int], count: int) -> None:
        super().__init__()
        self.inputs, self.count = inputs, count

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in LOOKUPS:
            index = next(
                (a for a in args if isinstance(a, Tensor) and not a.is_floating_point()), None
            )
            if index is not None and self._sees(index):
                return mapped(lambda t: t * 0, out)
        return out

    def _sees(self, index: Tensor) -> bool:
        if index.untyped_storage().data_ptr() in self.inputs:
            return True
        if index.ndim == 0 or len(index) != self.count:
            return False
        positions = torch.arange(len(index), device=index.device).expand_as(index.T).T
        return not torch.equal(index, positions.to(index.dtype))


def _caller(model: nn.Module, x: Any) -> Callable[[Any], Any]:
    """How the module takes its inputs: several of a tuple, named ones of a dict, or one."""
    try:
        signature = inspect.signature(model.forward)
        if isinstance(x, Mapping):
            signature.bind(**x)
            return lambda v: model(**v)
        if isinstance(x, tuple):
            signature.bind(*x)
            return lambda v: model(*v)
    except (TypeError, ValueError):
        pass
    return lambda v: model(v)


def _doubled(tree: Any) -> Any:
    return mapped(lambda t: t.double() if t.is_floating_point() else t, tree)


def _rule(x: Any) -> str:
    if isinstance(x, Tensor):
        return f"model must take the x of data, {x.dtype} {tuple(x.shape)}"
    return f"model must take the x of data, {shown(mapped(lambda t: tuple(t.shape), x))}"
