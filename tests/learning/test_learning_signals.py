"""Bad input of the differentiable metrics: one line that names the argument, what was found and what was wanted."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch
from exact import LOSS, pair, tensors

from hearlab.errors import InputError
from hearlab.learning.metrics import haspi, haspi_better_ear, hasqi

REFERENCE, PROCESSED = tensors(*pair("haspi", 24000, 9000))
GOOD = {"reference": REFERENCE, "processed": PROCESSED, "rate": 24000, "audiograms": [LOSS]}
NOT_FINITE = PROCESSED.clone()
NOT_FINITE[0, 77] = float("nan")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"processed": PROCESSED[0]},
            r"processed: has the wrong shape \(found shape \(9000,\), wanted shape \(batch, n\)",
        ),
        (
            {"processed": PROCESSED[..., :80]},
            r"processed: has another shape than the reference .*wanted shape \(1, 9000\)",
        ),
        ({"reference": REFERENCE[:, :0]}, r"reference: is empty"),
        ({"reference": [[0.0]]}, r"reference: is no tensor \(found list"),
        ({"processed": PROCESSED.to(torch.int16)}, r"processed: has integer samples .*divide 16-bit samples by 32768"),
        (
            {"processed": PROCESSED.half()},
            r"processed: has another precision \(found torch.float16, wanted torch.float32",
        ),
        ({"processed": PROCESSED.to("meta")}, r"processed: is on another device than the reference"),
        ({"processed": NOT_FINITE}, r"processed: item 0, sample 77: is not a finite number .*found nan"),
        ({"audiograms": [LOSS[:5]]}, r"audiograms: have the wrong shape .*found shape \(1, 5\), wanted .*250, 500"),
        ({"audiograms": [LOSS, LOSS]}, r"audiograms: have the wrong shape .*found shape \(2, 6\)"),
        ({"audiograms": [[float("inf")] * 6]}, r"audiograms: are no finite numbers"),
        ({"audiograms": "mild"}, r"audiograms: are no numbers"),
        ({"rate": 24}, r"rate: is no sample rate .*give it in Hz"),
        ({"level": "loud"}, r"level: is no level"),
        ({"level": [65.0, 65.0]}, r"level: has another number of items \(found 2, wanted one, or 1"),
        ({"lengths": [9001]}, r"lengths\[0\]: is not in numbers of samples \(found 9001, wanted 1 to 9000"),
        ({"lengths": [8000, 9000]}, r"lengths: has another number of items \(found 2"),
        ({"lengths": torch.tensor([0.5])}, r"lengths\[0\]"),
        ({"lengths": [2000]}, r"reference\[0\]: is too short .*wanted 0\.23 s"),
        ({"delay": [0.5]}, r"delay\[0\]: is not in delays"),
        ({"dither": [1, 2]}, r"dither: has another number of items"),
        ({"dither": [-1]}, r"dither\[0\]: is no seed"),
        ({"dither": torch.zeros(1, 2, 10, 32)}, r"dither\[0\]: has the wrong shape .*wanted \(2, \d+, 32\) or longer"),
        ({"dither": torch.zeros(2, 2, 10, 32)}, r"dither: is for another batch"),
        ({"bands_at_once": 3}, r"bands_at_once: is unknown \(found 3, wanted an even number"),
    ],
)
def test_one_line(changed, line):
    with pytest.raises(InputError, match=line) as caught:
        haspi(**{**GOOD, **changed})
    assert "\n" not in str(caught.value)


def test_two_ears_are_named():
    two = {**GOOD, "reference": REFERENCE[..., None].expand(-1, -1, 2), "audiograms": [[LOSS, LOSS]]}
    heard = PROCESSED[..., None].expand(-1, -1, 2)
    with pytest.raises(InputError, match=r"reference\[0\], left ear: is too short"):
        haspi_better_ear(**{**two, "processed": heard, "lengths": [1000]})
    with pytest.raises(InputError, match=r"wanted shape \(batch, n, 2\)"):
        haspi_better_ear(**GOOD)
    with pytest.raises(InputError, match="haspi_better_ear"):
        haspi(**{**two, "processed": heard})


def test_equalisation():
    with pytest.raises(InputError, match="equalisation: is unknown"):
        hasqi(**GOOD, equalisation=3)


def test_without_torch():
    code = "import sys; sys.modules['torch'] = None\nimport hearlab, hearlab.metrics, hearlab.learning.metrics"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert re.search(r"InputError: torch: .*pip install 'hearlab\[music\]'", run.stderr)


def test_importing_hearlab_imports_no_torch():
    code = "import sys, hearlab, hearlab.metrics, hearlab.learning; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
