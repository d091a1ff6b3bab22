"""A training in the middle, in one file without pickle: safetensors, and JSON in its header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from hytnas_agent.whole_file import write_whole
from hytnas_datasets.store import CurvePoint

_NETWORK, _OPTIMIZER = "network.", "optimizer."
_HEADER = "training"


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    identity: str
    curve: tuple[CurvePoint, ...]
    seconds: float
    rng_states: str


class TrainingState(msgspec.Struct, frozen=True):
    """The state after an epoch.

    Attributes
    ----------
    identity : str
        Of the training: network, seed, data, recipe. Another training does not go on from it.
    tensors : dict of str to Tensor
        Of the network and of the optimiser.
    rng_states : pair of mapping
        Of the generators of the images' order and of their changes.
    curve : tuple of CurvePoint
    seconds : float
        Wall time until then.
    """

    identity: str
    tensors: dict[str, torch.Tensor]
    rng_states: tuple[Mapping[str, Any], Mapping[str, Any]]
    curve: tuple[CurvePoint, ...]
    seconds: float

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> bool:
        """Put network and optimiser into this state; false, and nothing is changed, where it does not fit."""
        weights = {
            name.removeprefix(_NETWORK): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(_NETWORK)
        }
        there = network.state_dict()
        if {name: tensor.shape for name, tensor in weights.items()} != {
            name: tensor.shape for name, tensor in there.items()
        }:
            return False
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in self.tensors.items():
            if name.startswith(_OPTIMIZER):
                number, _, field = name.removeprefix(_OPTIMIZER).partition(".")
                state.setdefault(int(number), {})[field] = tensor
        network.load_state_dict(weights)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        return True


def tensors_of(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """All that network and optimiser remember, by name."""
    tensors = {f"{_NETWORK}{name}": tensor for name, tensor in network.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}{number}.{name}": tensor for name, tensor in state.items()}
    return tensors


def save_checkpoint(path: Path, checkpoint: TrainingState) -> None:
    """Write it in one piece: a reader finds the former one or this one."""
    header = _Header(
        checkpoint.identity, checkpoint.curve, checkpoint.seconds, json.dumps(checkpoint.rng_states)
    )
    tensors = {name: tensor.contiguous().cpu() for name, tensor in checkpoint.tensors.items()}
    path.parent.mkdir(exist_ok=True)
    write_whole(path, save(tensors, {_HEADER: msgspec.json.encode(header).decode()}), durable=False)


def load_checkpoint(path: Path, identity: str) -> TrainingState | None:
    """What is kept for the training of this identity; ``None`` where nothing is, or it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            header = msgspec.json.decode((file.metadata() or {}).get(_HEADER, ""), type=_Header)
            if header.identity != identity:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        order, changes = json.loads(header.rng_states)
    except (OSError, SafetensorError, msgspec.DecodeError, ValueError):
        return None
    return TrainingState(header.identity, tensors, (order, changes), header.curve, header.seconds)
