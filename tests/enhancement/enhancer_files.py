"""Weights of a tiny network that was not trained, as files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from hearlab.enhancement.energies import MICROPHONES
from hearlab.enhancement.network import EnhancerShape
from hearlab.enhancement.spectra import BINS
from hearlab.enhancement.weights import described, description_file, weights_bytes

TINY = EnhancerShape(bands=8, hidden_size=4, layers=1)


def tiny_network(shape: EnhancerShape = TINY) -> torch.nn.Module:
    """A network of random weights, whose gains depend on all that it is given."""
    torch.manual_seed(0)
    network = shape.network()
    rng = np.random.default_rng(0)
    beams = rng.standard_normal((2, BINS, MICROPHONES, MICROPHONES))
    with torch.no_grad():
        dict(network.named_buffers())["beams"].copy_(torch.from_numpy(beams))
        for parameter in network.parameters():
            parameter.mul_(3)
    return network


def write_weights(folder: Path, shape: EnhancerShape = TINY) -> Path:
    """The weights of `tiny_network` and their description."""
    path = folder / "enhancer.pth"
    content = weights_bytes(tiny_network(shape).state_dict())
    path.write_bytes(content)
    description_file(path).write_text(json.dumps(described(content, shape)))
    return path
