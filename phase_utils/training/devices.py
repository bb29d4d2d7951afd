"""The device on which networks are trained, by name."""

import torch

from phase_utils._check import shown


def resolve(device: str | torch.device) -> torch.device:
    """Return the torch device of a name.

    Parameters
    ----------
    device : str or torch.device
        "auto", which is CUDA where there is one and else the CPU, or a device.

    Returns
    -------
    torch.device
        One that holds float64 numbers.

    Raises
    ------
    ValueError
        For a device that is not present or cannot hold float64 numbers.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.devices.resolve("cpu")
    device(type='cpu')
    """
    if not isinstance(device, str | torch.device):
        raise ValueError(f"device must be auto or a torch device, got {shown(device)}")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        # "meta" exists but holds no numbers, "mps" none of double precision
        probe = torch.ones(1, dtype=torch.float64, device=torch.device(device))
        probe.cpu()
        return probe.device
    except (RuntimeError, AssertionError, TypeError, ImportError):
        raise ValueError(
            f"device must be auto or a torch device with float64 present here, got {shown(device)}"
        ) from None


def name(device: torch.device) -> str:
    """Return what a reader calls a device.

    Parameters
    ----------
    device : torch.device
        As `resolve` returns it.

    Returns
    -------
    str
        "cpu", or the name of the GPU.

    Raises
    ------
    ValueError
        If the device is no `torch.device`.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.devices.name(pu.devices.resolve("cpu"))
    'cpu'
    """
    if not isinstance(device, torch.device):
        raise ValueError(f"device must be a torch.device, got {shown(device)}")
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
