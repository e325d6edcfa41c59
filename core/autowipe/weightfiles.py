"""Weights as files: a folder with manifest.json and the safetensors that it names; checked first, loaded strictly."""

from __future__ import annotations

import hashlib
import json
from importlib import import_module, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import WeightsError

if TYPE_CHECKING:
    from torch import nn

MANIFEST, FORMAT = "manifest.json", 1
REINSTALL = "Install AutoWipe again: `python3 install.py`."


def shipped() -> Traversable:
    """The folder of the weights that ship."""
    return resources.files("autowipe.weights")


def entries(folder: Traversable | None = None) -> dict[str, dict[str, Any]]:
    """What is known of each weight in `folder` (default: those that ship), by name; see weights/README.md."""
    folder = shipped() if folder is None else folder
    try:
        manifest = json.loads(folder.joinpath(MANIFEST).read_text("utf-8"))
        known: dict[str, dict[str, Any]] = manifest["weights"]
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise WeightsError(f"{MANIFEST} of the weights cannot be read: {err}", hint=REINSTALL) from err
    if manifest.get("autowipe_weights") != FORMAT:
        raise WeightsError(f"{MANIFEST} of the weights is of another version of AutoWipe", hint=REINSTALL)
    return known


def load(name: str, folder: Traversable | None = None) -> nn.Module:
    """The network of that name with its weights, float32 on the CPU, ready to infer.

    Raises WeightsError if the weight is missing, damaged, of another version or of another network.
    """
    import torch  # seconds to import
    from safetensors import SafetensorError
    from safetensors.torch import load as unpacked

    folder = shipped() if folder is None else folder
    entry = entries(folder).get(name)
    if entry is None:
        raise WeightsError(f"there is no weight {name!r}", hint=f"Train it: `autowipe train {name}`.")
    make = _network(name)
    if entry["version"] != make.VERSION:
        raise WeightsError(
            f"the weight {name} is of version {entry['version']}, this engine needs {make.VERSION}", hint=REINSTALL
        )
    data = checked(name, entry, folder)
    network: nn.Module = make(**entry["arguments"])
    try:
        tensors = {key: value.to(torch.float32) for key, value in unpacked(data).items()}
        network.load_state_dict(tensors, strict=True)
    except (SafetensorError, RuntimeError) as err:
        raise WeightsError(f"the weight {name} does not fit its network: {err}", hint=REINSTALL) from err
    return network.eval().requires_grad_(False)


def checked(name: str, entry: dict[str, Any], folder: Traversable | None = None) -> bytes:
    """The file of a weight, read once and found to be what the manifest says. Raises WeightsError if it is not."""
    folder = shipped() if folder is None else folder
    try:
        data = folder.joinpath(entry["file"]).read_bytes()
    except OSError as err:
        raise WeightsError(f"the file {entry['file']} of the weight {name} is missing", hint=REINSTALL) from err
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise WeightsError(f"the file {entry['file']} of the weight {name} is damaged", hint=REINSTALL)
    return data


def save(folder: Path, name: str, network: nn.Module, about: dict[str, Any]) -> Path:
    """Writes a network in half precision into `folder` and its manifest; `about` is added to the entry."""
    import torch
    from safetensors.torch import save as packed

    tensors = {key: value.to(torch.float16).contiguous().cpu() for key, value in network.state_dict().items()}
    data = packed(tensors)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / MANIFEST
    known = entries(folder) if manifest.exists() else {}
    known[name] = {
        "file": f"{name}.safetensors",
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "version": network.VERSION,
        "arguments": network.arguments,
        "parameters": sum(value.numel() for value in tensors.values()),
        **about,
    }
    path = folder / f"{name}.safetensors"
    path.write_bytes(data)
    manifest.write_text(json.dumps({"autowipe_weights": FORMAT, "weights": known}, indent=1) + "\n", "utf-8")
    return path


def _network(name: str) -> Any:
    """The class of a weight: networks/<name>.py holds it under its name in capitals-and-small, as `Completer`."""
    return getattr(import_module(f".networks.{name}", __package__), name.capitalize())
