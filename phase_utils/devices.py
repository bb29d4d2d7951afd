"""The device on which networks are trained, by name."""

import torch


def resolve(device: str) -> torch.device:
    """Return the torch device called `device`; "auto" is CUDA where there is one, else the CPU.

    Raises ValueError for a device that is not present.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError):
        raise ValueError(
            f"device must be auto or a torch device present here, got {device!r}"
        ) from None


def name(device: torch.device) -> str:
    """Return what a reader calls the device: "cpu", or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
