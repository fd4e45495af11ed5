"""Array specifications: checked and measured without building anything, then built, the same bits on every machine."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes, fills, kernels, npz, pictures
from crosscorrect.errors import CaseError
from crosscorrect.estimate import excess
from crosscorrect.nearest import meant
from crosscorrect.values import COMPONENTS, ArrayError, cast, check_puts, element, measure, number, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]

KINDS = ("of", "picture", "kernel", "fill", "npz")
CHANGES = ("flip", "transpose", "scale", "put", "label")


def shape_of(spec: Any, folder: Path, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """The shape of the array that a specification describes, with everything checked and nothing large built.

    ``default`` is the shape of a fill that gives none. ``npz`` files are looked for in ``folder``, and only their
    headers are read. Raises ArrayError.
    """
    if isinstance(spec, list):
        return measure(spec)
    if not isinstance(spec, dict):
        raise ArrayError("an array is a list of numbers or a mapping", value=spec, remedy="docs/cases.md lists both")
    kinds = [kind for kind in KINDS if kind in spec]
    if len(kinds) != 1:
        raise ArrayError("an array needs exactly one of of, picture, kernel, fill and npz", value=sorted(spec))
    kind = kinds[0]
    try:
        shape = _SHAPES[kind](spec, folder, default)
    except ArrayError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise ArrayError(f"this {kind} cannot be made: {error}", (kind,)) from error
    if told := excess(shape):
        raise ArrayError(f"this array {told}", value=list(shape), remedy="make it smaller")
    return _changed_shape(spec, shape)


def check_dtype(spec: Any, dtype: str) -> None:
    """Raise ArrayError where a specification that ``shape_of`` accepted says what arrays of this dtype cannot have."""
    if not isinstance(spec, dict):
        return
    if "imag" in spec and dtype not in dtypes.COMPLEX:
        raise ArrayError(f"{dtype} has no imaginary part", ("imag",), remedy="write complex64 or complex128")
    for index, entry in enumerate(spec.get("put", ())):
        try:
            element(entry["value"], dtype)
        except ArrayError as error:
            raise ArrayError(error.problem, ("put", index, "value"), error.value, error.remedy) from None


def sealed(spec: Any, folder: Path) -> Any:
    """The specification with what its ``.npz`` file holds now, so that a file that changes later is told."""
    if not (isinstance(spec, dict) and "npz" in spec):
        return spec
    return {**spec, "crc32": npz.header(folder, spec["npz"], spec["key"]).crc}


def build(problem: Problem, salt: int = 0) -> dict[str, Array]:
    """The input arrays of a problem, as ``Problem.inputs`` describes them. Raises CaseError.

    Another ``salt``, other generated data of the same kind; 0 gives the data that the case file means.
    """
    arrays = {}
    for name, spec in problem.arrays.items():
        try:
            array = array_of(spec, problem.dtype, problem.id, name, problem.folder, salt)
            arrays[name] = np.ascontiguousarray(array).reshape(problem.shapes[name])
        except ArrayError as error:
            key = ".".join(map(str, (problem.id, name, *error.key)))
            raise CaseError(
                error.problem, file=problem.file, line=problem.line, key=key, value=error.value, remedy=error.remedy
            ) from error
    return arrays


def array_of(spec: Any, dtype: str, problem: str, name: str, folder: Path, salt: int = 0) -> Array:
    """The array that a specification describes, of the shape that ``shape_of`` tells.

    ``scale`` acts in float64 and flips move values only, so each element is rounded once more at most, to ``dtype``;
    what ``put`` sets comes last. ``problem``, ``name`` and ``salt`` choose the stream of a fill, which must give its
    shape. Raises ArrayError.
    """
    if isinstance(spec, list):
        spec = {"of": spec}
    finish = partial(_finish, scale=spec.get("scale"))
    try:
        if "fill" in spec:
            array = _filled(spec, dtype, (problem, name, salt), finish)
        else:
            array = finish(_values(spec, folder), dtype)
    except ArrayError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise ArrayError(str(error)) from error
    axes = tuple(range(array.ndim - _image_axes(array.ndim), array.ndim))
    if spec.get("flip"):
        array = np.flip(array, axes)
    if spec.get("transpose"):
        array = array.transpose((*range(axes[0]), *reversed(axes)))
    return put(array, spec["put"], dtype) if "put" in spec else array


def _finish(values: Array, dtype: str, scale: float | None) -> Array:
    if scale is not None:
        with np.errstate(over="ignore"):  # what overflows is refused by the cast
            values = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64) * float(scale)
    return cast(values, dtype)


def _filled(
    spec: Mapping[str, Any], dtype: str, stream: tuple[str, str, int], finish: Callable[[Array, str], Array]
) -> Array:
    """A fill, by parts for a complex dtype: the real part is what a real dtype would have."""
    part, (problem, name, salt) = COMPONENTS.get(dtype, dtype), stream

    def filled(tensor: str) -> Array:
        key = fills.stream_key(problem, tensor, spec.get("seed", 0), salt)
        return fills.fill(spec, spec["shape"], key, part, lambda values: finish(values, part))

    if part == dtype:
        return filled(name)
    array = np.zeros(spec["shape"], dtype)
    array.real = filled(name)
    if spec["fill"] in fills.RANDOM:
        array.imag = filled(f"{name}.imag")
    return array


def _values(spec: Mapping[str, Any], folder: Path) -> Array:
    """The values of anything but a fill, int64 or floating, before scale, flip and transpose."""
    if "of" in spec:
        array = np.array(spec["of"])
        if "imag" in spec:
            return np.asarray(array + 1j * np.array(spec["imag"]))
        return array.astype(np.int64) if array.dtype.kind == "i" else array
    if "picture" in spec:
        picture = pictures.PICTURES[spec["picture"]]
        return picture.draw(*pictures.size_of(spec["picture"], spec.get("size")), **_given(spec, picture))
    if "kernel" in spec:
        return _kernel(spec)
    return npz.read(folder, spec["npz"], spec["key"], spec.get("crc32"))


def _of_shape(spec: dict[str, Any], _folder: Path, _default: tuple[int, ...] | None) -> tuple[int, ...]:
    _only(spec, ("of", "imag"))
    shapes = {key: _nested(spec, key) for key in ("of", "imag") if key in spec}
    if shapes.get("imag", shapes["of"]) != shapes["of"]:
        raise ArrayError(f"the shape must be {list(shapes['of'])}, as of's", ("imag",), list(shapes["imag"]))
    return shapes["of"]


def _nested(spec: dict[str, Any], key: str) -> tuple[int, ...]:
    if not isinstance(spec[key], list):
        raise ArrayError(f"{key} takes a nested list of numbers", (key,), spec[key])
    try:
        return measure(spec[key])
    except ArrayError as error:
        raise ArrayError(error.problem, (key, *error.key), error.value, error.remedy) from None


def _picture_shape(spec: dict[str, Any], _folder: Path, _default: tuple[int, ...] | None) -> tuple[int, ...]:
    picture = pictures.PICTURES[_name(spec, "picture", pictures.PICTURES)]
    _only(spec, ("picture", "size", *picture.required, *picture.optional), needed=picture.required)
    shape = pictures.size_of(spec["picture"], spec.get("size"))
    pictures.check(spec["picture"], shape, **_given(spec, picture))
    return shape


def _kernel_shape(spec: dict[str, Any], _folder: Path, _default: tuple[int, ...] | None) -> tuple[int, ...]:
    _, needed = kernels.KERNELS[_name(spec, "kernel", kernels.KERNELS)]
    _only(spec, ("kernel", *needed), needed=needed)
    return tuple(_kernel(spec).shape)  # at most 255 × 255


def _kernel(spec: Mapping[str, Any]) -> Array:
    needed = kernels.KERNELS[spec["kernel"]][1]
    return _made(spec["kernel"], json.dumps({key: spec[key] for key in needed}))


@lru_cache(maxsize=64)
def _made(name: str, keys: str) -> Array:
    """A named kernel, not to be written to: the points of a sweep ask for the same ones, and some take a while."""
    kernel = kernels.KERNELS[name][0](**json.loads(keys))
    kernel.setflags(write=False)
    return kernel


def _fill_shape(spec: dict[str, Any], _folder: Path, default: tuple[int, ...] | None) -> tuple[int, ...]:
    kind = _name(spec, "fill", fills.FILLS)
    _only(spec, ("fill", "shape", "seed", *fills.FILLS[kind]))
    shape = spec.get("shape", default if default is None else list(default))
    if shape is None:
        raise ArrayError("this fill has no shape", ("fill",), remedy="add shape: [height, width]")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 5 or not all(_count(n) for n in shape):
        raise ArrayError("shape is a list of 1 to 5 integers, none below 0", ("shape",), shape)
    fills.check(spec, shape)
    return tuple(shape)


def _npz_shape(spec: dict[str, Any], folder: Path, _default: tuple[int, ...] | None) -> tuple[int, ...]:
    _only(spec, ("npz", "key"), needed=("key",))
    return npz.header(folder, spec["npz"], spec["key"]).shape


_SHAPES = {"of": _of_shape, "picture": _picture_shape, "kernel": _kernel_shape, "fill": _fill_shape, "npz": _npz_shape}


def _given(spec: Mapping[str, Any], picture: pictures.Picture) -> dict[str, Any]:
    return {key: spec[key] for key in (*picture.required, *picture.optional) if key in spec}


def _name(spec: dict[str, Any], kind: str, table: Iterable[str]) -> str:
    name, known = spec[kind], list(table)
    if isinstance(name, str) and name in known:
        return name
    remedy = meant(name, known, "write one of " + ", ".join(known))
    raise ArrayError(f"there is no {kind} of this name", (kind,), name, remedy)


def _only(spec: dict[str, Any], keys: tuple[str, ...], needed: tuple[str, ...] = ()) -> None:
    for key in spec:
        if key not in keys and key not in CHANGES:
            raise ArrayError("this key has no meaning here", (key,), remedy="the keys are " + ", ".join(keys + CHANGES))
    for key in needed:
        if key not in spec:
            raise ArrayError(f"the key {key} is missing", remedy=f"add {key}")


def _changed_shape(spec: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape after the changes, which are checked here."""
    for change in ("flip", "transpose"):
        if not isinstance(spec.get(change, False), bool):
            raise ArrayError("this is true or false", (change,), spec[change])
    if "scale" in spec and not number(spec["scale"]):
        raise ArrayError("scale is a finite number", ("scale",), spec["scale"])
    shape = _transposed_shape(shape) if spec.get("transpose") else shape
    if "put" in spec:
        check_puts(spec["put"], shape)
    return shape


def _image_axes(rank: int) -> int:
    """How many of the last axes are the image: both of two, one of one, all but batch and channel of more."""
    return rank if rank <= 2 else rank - 2


def _transposed_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    first = len(shape) - _image_axes(len(shape))
    return (*shape[:first], *reversed(shape[first:]))


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
