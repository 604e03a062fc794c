"""Adam without torch's class of optimisers: the same bits, and no import of torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hearlab.networks.device import repeatable
from hearlab.separation.adam import Adam

torch = pytest.importorskip("torch", reason="needs hearlab[music]")

RATE, DECAY = 1e-2, 1e-3
FRESH = """
import sys
import torch
from hearlab.separation.adam import Adam
one = torch.nn.Parameter(torch.ones(3))
own = Adam([one], learning_rate=0.1, weight_decay=0.0)
one.square().sum().backward()
own.step()
own.clear()
print(float(one[0]) < 1, "torch._dynamo" in sys.modules)
"""


def network():
    """Weights and biases of a network, the same each time."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Linear(37, 19), torch.nn.Tanh(), torch.nn.Linear(19, 3))


def gradients(one, step):
    """The gradients of a loss that is another one in each step."""
    generator = torch.Generator().manual_seed(step)
    one(torch.randn(5, 37, generator=generator)).square().mean().backward()


def learn(one, optimiser, clear, steps):
    for step in steps:
        clear()
        gradients(one, step)
        optimiser.step()


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.fixture(autouse=True)
def fixed():
    with repeatable(1):
        yield


def test_the_same_bits_as_torch_has_it():
    one, other = network(), network()
    own = Adam(one.parameters(), learning_rate=RATE, weight_decay=DECAY)
    theirs = torch.optim.Adam(other.parameters(), lr=RATE, weight_decay=DECAY)
    learn(one, own, own.clear, range(6))
    learn(other, theirs, theirs.zero_grad, range(6))
    assert same(one, other)
    assert not same(one, network())
    own.learning_rate = theirs.param_groups[0]["lr"] = RATE / 3
    learn(one, own, own.clear, range(6, 9))
    learn(other, theirs, theirs.zero_grad, range(6, 9))
    assert same(one, other)


def test_a_state_goes_on_as_if_nothing_had_been():
    whole, before, after = network(), network(), network()
    own = Adam(whole.parameters(), learning_rate=RATE, weight_decay=DECAY)
    learn(whole, own, own.clear, range(6))
    first = Adam(before.parameters(), learning_rate=RATE, weight_decay=DECAY)
    learn(before, first, first.clear, range(4))
    after.load_state_dict(before.state_dict())
    second = Adam(after.parameters(), learning_rate=1.0, weight_decay=DECAY)
    second.restore(first.state())
    learn(after, second, second.clear, range(4, 6))
    assert same(after, whole)


@pytest.mark.slow
def test_the_compiler_of_torch_is_not_imported():
    found = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["True", "False"]
