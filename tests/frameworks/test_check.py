"""``crosscorrect.check`` on a framework's own tensors, with its own differentiation; run inside its environment.

``CROSSCORRECT_ADAPTER`` names the adapter, as in ``test_contract.py``.
"""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import Any

import pytest

import crosscorrect
from crosscorrect import registry
from crosscorrect.checking import PATIENT
from crosscorrect.errors import UsageError
from crosscorrect.geometry import Geometry
from crosscorrect.model import Outcome

ADAPTER = os.environ.get("CROSSCORRECT_ADAPTER", "numpy")
GRADIENTS = ("grad_input", "grad_weight", "grad_bias")
ONLY = ["handmade/batch-bias", "handmade/batch-real", "handmade/groups", "handmade/gradients*"]

pytestmark = pytest.mark.filterwarnings("default")  # a framework's own warnings are no defect of its answers


@pytest.fixture(scope="module")
def adapter() -> Any:
    return registry.known(ADAPTER).load()("cpu", "eager")


def convolution(adapter: Any, change: Any = lambda x, w: (x, w)) -> Any:
    """The framework's operator as a person would hand it in."""

    def conv(
        x: Any,
        w: Any,
        bias: Any = None,
        stride: Any = (1, 1),
        padding: Any = ((0, 0), (0, 0)),
        dilation: Any = (1, 1),
        groups: int = 1,
    ) -> Any:
        x, w = change(x, w)
        return adapter.conv2d(x, w, bias, Geometry(tuple(stride), tuple(padding), tuple(dilation), groups))

    return conv


def test_the_framework_s_operator_passes_on_its_own_tensors(adapter: Any) -> None:
    result = crosscorrect.check(convolution(adapter), layout="NCHW", arrays=ADAPTER, only=ONLY, budget=120)
    assert result, str(result)
    assert not result.left_out
    assert len(result.rows) > 30


def test_its_gradients_are_taken_by_its_own_differentiation(adapter: Any) -> None:
    # "Current CPU implementations do not yet support dilation rates larger than 1" in gradients, TensorFlow says
    only = ["handmade/gradients*@geometry=plain*"] if ADAPTER == "tensorflow" else ONLY
    ask: dict[str, Any] = {"layout": "NCHW", "arrays": ADAPTER, "directions": GRADIENTS, "only": only, "budget": 120}
    if ADAPTER == "numpy":
        with pytest.raises(UsageError, match="no automatic differentiation"):
            crosscorrect.check(convolution(adapter), **ask)
        return
    result = crosscorrect.check(convolution(adapter), **ask)
    assert result, str(result)
    assert {row.direction for row in result.rows} == set(GRADIENTS)


def test_a_wrong_operand_is_named(adapter: Any) -> None:
    doubled = convolution(adapter, lambda x, w: (x, w + w))
    result = crosscorrect.check(doubled, layout="NCHW", arrays=ADAPTER, only=["handmade/batch"], budget=120)
    assert not result
    assert re.search(r"twice|2 times|scaled|doubled", result.diagnosis), str(result)


@pytest.mark.skipif(ADAPTER == "numpy", reason="about the tensors of a framework")
def test_an_array_where_a_tensor_is_due_is_an_error_in_a_sentence(adapter: Any) -> None:
    conv = convolution(adapter)
    result = crosscorrect.check(
        lambda x, w: adapter.get(conv(x, w)), layout="NCHW", arrays=ADAPTER, only=["handmade/batch"], budget=120
    )
    assert {row.outcome for row in result.rows} == {Outcome.ERROR}
    assert "returned an object of type numpy.ndarray" in str(result)


@pytest.mark.skipif(ADAPTER not in ("torch", "tensorflow"), reason="JAX has a gradient of zeros there")
@pytest.mark.parametrize("names", [("w",), ("x", "w")])
def test_a_gradient_that_reaches_no_operand_is_told_of_that_operand_alone(adapter: Any, names: tuple[str, ...]) -> None:
    stop = import_module("tensorflow").stop_gradient if ADAPTER == "tensorflow" else lambda tensor: tensor.detach()
    conv = convolution(adapter, lambda x, w: (stop(x) if "x" in names else x, stop(w)))
    result = crosscorrect.check(
        conv, layout="NCHW", arrays=ADAPTER, directions=GRADIENTS[:2], only=["handmade/gradients@geometry=plain*"]
    )
    failed = {row.direction for row in result.rows if row.outcome is not Outcome.PASS}
    assert failed == {f"grad_{'input' if name == 'x' else 'weight'}" for name in names}
    assert "grad_weight: no gradient reaches w" in str(result)


@pytest.mark.skipif(ADAPTER == "numpy", reason="about the tensors of a framework")
def test_the_axes_are_found_by_trying_where_that_is_safe(adapter: Any) -> None:
    ask: dict[str, Any] = {"arrays": ADAPTER, "only": ["handmade/example"], "budget": 120}
    if ADAPTER in PATIENT:
        assert crosscorrect.check(convolution(adapter), **ask).handmade.layout.letters == "NCHW"
    else:
        with pytest.raises(UsageError, match="say with layout="):
            crosscorrect.check(convolution(adapter), **ask)


@pytest.mark.skipif(ADAPTER != "torch", reason="about PyTorch")
def test_pytorch_s_own_function_whose_signature_cannot_be_read_is_told_to_be_so() -> None:
    result = crosscorrect.check(import_module("torch").nn.functional.conv2d, arrays="torch", only=["handmade/batch*"])
    assert result, str(result)
    assert "its signature cannot be read; say takes={…}: " in str(result)
    assert "does not take it" not in str(result)


@pytest.mark.skipif(ADAPTER != "torch", reason="about PyTorch")
def test_a_tensor_on_another_device_is_an_error_in_a_sentence() -> None:
    torch = import_module("torch")
    result = crosscorrect.check(
        lambda x, w: torch.nn.functional.conv2d(x, w).to("meta"), arrays="torch", only=["handmade/batch"]
    )
    assert "returned a tensor on meta, where its arguments are on cpu" in str(result)
