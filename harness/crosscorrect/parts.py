"""The pieces of a problem in the making: array specifications and their shapes, and checks that operations share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect.estimate import excess
from crosscorrect.inputs import check_dtype, sealed, shape_of
from crosscorrect.model import Direction
from crosscorrect.values import ArrayError

if TYPE_CHECKING:
    from crosscorrect.geometry import Geometry
    from crosscorrect.sweep import Point

Shape = tuple[int, ...]


@dataclass(slots=True)
class Parts:
    """What an operation makes of a case: array specifications, their shapes and the output's, and the rest."""

    arrays: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    directions: tuple[Direction, ...] = (Direction.FORWARD,)
    geometry: Geometry | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    spelling: str = "native"
    invalid: bool = False
    verify: str = ""
    dirty: bool = False


def array(point: Point, key: str, default: Shape | None = None, *, empty: bool = False) -> tuple[Any, Shape]:
    """The specification at a key, complete with its shape, and that shape; ``train.start`` reaches inside.

    An array without elements is refused unless ``empty``.
    """
    spec: Any = point.data
    for name in key.split("."):
        spec = spec[name]
    if isinstance(spec, (int, float)):  # a bias of one number
        spec = [spec]
    keys = tuple(key.split("."))
    try:
        shape = shape_of(spec, point.document.path.parent, default)
        check_dtype(spec, point.data.get("dtype", "float32"))
        spec = sealed(spec, point.document.path.parent)
    except ArrayError as error:
        point.fail(error.problem, (*keys, *error.key), error.value, error.remedy)
    if 0 in shape and not empty:
        problem = f"{point.data['operation']} takes no empty array"
        point.fail(problem, keys, list(shape), "give each axis one element at least")
    if isinstance(spec, dict) and "fill" in spec and "shape" not in spec and default is not None:
        spec = {**spec, "shape": list(default)}
    return spec, shape


def fits(point: Point, key: str, shape: Shape, wanted: Shape) -> None:
    """Refuse a shape that is not the one wanted."""
    if shape != wanted:
        point.fail(f"the shape must be {list(wanted)}", tuple(key.split(".")), list(shape))


def lifted(shape: Shape, axes: int) -> Shape:
    """A two-dimensional shape as one example and one channel, where four axes are asked for."""
    return (1, 1, *shape) if len(shape) == 2 and axes == 4 else shape


def misfit(parts: Parts) -> str:
    """The words for a kernel that does not fit."""
    return f"the kernel {list(parts.shapes['w'])} does not fit into the image {list(parts.shapes['x'])}"


def set_output(point: Point, parts: Parts, shape: Shape) -> None:
    """Note the output's shape. Raises CaseError where it is too large."""
    if told := excess(shape):
        point.fail(f"the output {told}", ("x",), list(shape), "make the image or its padding smaller")
    parts.shapes["output"] = shape


def gradient(point: Point, parts: Parts) -> None:
    """Add ``dy``: as given, or small integers."""
    shape = parts.shapes["output"]
    if "dy" not in point.data:
        parts.arrays["dy"] = {"fill": "integers", "low": -4, "high": 4, "shape": list(shape)}
    else:
        parts.arrays["dy"], given = array(point, "dy", shape, empty=True)
        fits(point, "dy", lifted(given, len(shape)), shape)
    parts.shapes["dy"] = shape
