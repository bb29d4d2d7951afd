"""The state of one training in one file, sealed by a digest: what was altered is not loaded."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phase_utils._files import READ_ONLY, alone, local_path, remove_leftovers, write_atomic

HEAD = b"checkpoint of phase_utils, sha256 "


class Checkpoint:
    """The checkpoint of one training, from `opened`.

    Parameters
    ----------
    path : the file.
    identity : what makes the training this one, by name; numbers and text.
    model, optimiser : what is saved and loaded, beside the losses of the epochs.
    """

    def __init__(
        self,
        path: Path,
        identity: Mapping[str, Any],
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        self.path, self.identity = path, dict(identity)
        self.model, self.optimiser = model, optimiser

    def save(self, losses: list[float], seconds: float) -> None:
        """Replace the file, whole or not at all."""
        buffer = io.BytesIO()
        state = {
            "identity": self.identity,
            "losses": losses,
            "seconds": seconds,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, buffer)
        write_atomic(self.path, sealed(buffer.getvalue()))

    def load(self) -> tuple[list[float], float]:
        """Put the model and the optimiser where the file left them; losses and seconds so far.

        Raises ValueError for a file that is damaged, or of another training.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return [], 0.0
        except OSError as error:
            raise self._refused(error.strerror or type(error).__name__) from None
        payload = unsealed(content)
        if payload is None:
            raise self._refused("it is damaged, or no checkpoint")
        try:
            state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            found, losses = dict(state["identity"]), [float(loss) for loss in state["losses"]]
            seconds = float(state["seconds"])
            if found == self.identity:
                self.model.load_state_dict(state["model"])
                self.optimiser.load_state_dict(state["optimiser"])
        except Exception as error:  # torch raises many kinds for what it did not write
            raise self._refused(type(error).__name__) from None
        if found != self.identity:
            differing = [
                f"{name} is {found.get(name)} there and {self.identity.get(name)} here"
                for name in dict.fromkeys([*found, *self.identity])
                if found.get(name) != self.identity.get(name)
            ]
            raise ValueError(
                f"checkpoint must be of this training, got {self.path} of another (delete it or "
                f"give another path): {'; '.join(differing)}"
            )
        return losses, seconds

    def _refused(self, reason: str) -> ValueError:
        return ValueError(
            f"checkpoint must be a file that this training left, got {self.path}: {reason}; "
            "delete it or give another path"
        )


@contextmanager
def opened(
    path: str | Path,
    identity: Mapping[str, Any],
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> Iterator[Checkpoint]:
    """The checkpoint at `path`, which no other run uses meanwhile; folders are created.

    Raises ValueError for what is no path of this machine, for a folder that cannot be made or
    written, and for a file that another run uses.
    """
    place = local_path("checkpoint", path)
    with ExitStack() as held:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(alone("checkpoint", place, place.with_name(f".{place.name}.lock")))
            remove_leftovers(place)
        except OSError as error:
            # a finished training can be read where nothing can be written
            if error.errno not in READ_ONLY or not place.exists():
                raise ValueError(
                    f"checkpoint must be in a folder that can be written, got {place}: "
                    f"{error.strerror or error}"
                ) from error
        yield Checkpoint(place, identity, model, optimiser)


def sealed(payload: bytes) -> bytes:
    """`payload` below its digest."""
    return HEAD + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def unsealed(content: bytes) -> bytes | None:
    """The payload of a sealed content; None where a bit of either is not as it was."""
    payload = content[len(HEAD) + 65 :]
    return payload if content == sealed(payload) else None


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Of names, shapes, types and bits."""
    found = hashlib.sha256()
    for name, tensor in tensors.items():
        found.update(repr((name, tuple(tensor.shape), tensor.dtype)).encode())
        found.update(
            tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return found.hexdigest()
