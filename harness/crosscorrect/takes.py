"""What a person's callable takes beside image and kernel: of bias and geometry what its signature has, and how."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect.errors import UsageError, inert
from crosscorrect.geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crosscorrect.layout import Layout
    from crosscorrect.problem import Problem

NAMES = {
    "bias": ("bias", "b", "biases"),
    "stride": ("stride", "strides"),
    "padding": ("padding", "pad", "pads"),
    "dilation": ("dilation", "dilations", "dilation_rate"),
    "groups": ("groups", "group", "feature_group_count"),
}
"""What a parameter may be called that takes each of these."""
OPERANDS = ("an image", "a kernel")
"""What a forward pass is given by position."""
_IMAGES = ("x", "image", "images", "img", "input", "inputs")
_KERNELS = ("w", "weight", "weights", "kernel", "kernels", "filter", "filters", "k")
"""What a parameter may be called that takes these."""
SWAPPED = "it is called as function(image, kernel); yours names them the other way round"
_FEATURES = {name: feature for feature, names in NAMES.items() for name in names}

FORMS = {
    "number": "one number for all axes",
    "axes": "a number per axis",
    "sides": "a pair per axis",
    "word": "'valid' or 'same'",
    "array": "an array",
}
"""How a value is written, in words."""
_WORDS = {"valid": "valid", "same": "same_upper", "same_upper": "same_upper", "same_lower": "same_lower"}
_OFFERED = {
    "bias": ("array",),
    "stride": ("number", "axes"),
    "padding": ("number", "axes", "sides", "word"),
    "dilation": ("number", "axes"),
    "groups": ("number",),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name in the callable, the form it takes, and the example that said so.

    ``needed`` says that it has no default, so that it is never left out.
    """

    name: str
    form: str
    example: Any = None
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Takes:
    """What a callable takes beside image and kernel: a parameter for each feature, names of ``NAMES``, that it has.

    ``always`` are the features that are as their examples whatever is asked, ``others`` the parameters that nothing is
    known of: they keep their defaults. ``unread`` says that it may take more, which its signature does not tell and
    nobody said; ``swapped`` that its first parameters are called kernel and image, in this order.
    """

    callable: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    always: Mapping[str, Parameter] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    unread: bool = False
    swapped: bool = False

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        examples: Mapping[str, Any] | None = None,
        always: Mapping[str, Any] | None = None,
        operands: Sequence[str] = OPERANDS,
    ) -> Takes:
        """Read a signature: a parameter is known by its name, its form by its default.

        ``examples`` gives values in place of defaults, by the names of parameters: they say the form, and what a
        signature that cannot be read has. ``always`` gives the values of features that cannot be chosen. ``operands``
        come first, by position. Raises UsageError where these have no place, where something else has no default, and
        for a value that is none of its kind.
        """
        name, given = name_of(function), dict(examples or {})
        found: dict[str, Parameter] = {}
        others = []
        taken, rest, is_open = _read(function, name, operands)
        for parameter in rest:
            feature = _FEATURES.get(parameter.name.lower())
            needed = parameter.default is parameter.empty
            placed = parameter.kind is parameter.POSITIONAL_ONLY
            if needed and (feature is None or placed) and parameter.name not in given:
                what = "taken by position only" if placed else "without a default, of which nothing is known"
                raise UsageError(
                    f"{name} has a parameter {parameter.name!r} {what}; known are {', '.join(NAMES)}; {_wrap(name)}"
                )
            if feature is None or placed:
                others.append(parameter.name)
                continue
            example = given.pop(parameter.name, None if needed else parameter.default)
            found[feature] = Parameter(parameter.name, _form(name, parameter.name, feature, example), example, needed)
        for key, example in given.items():
            feature = _FEATURES.get(str(key).lower())
            if feature is None or not is_open:
                what = f"is none of {', '.join(_FEATURES)}" if feature is None else f"is no parameter of {name}"
                raise UsageError(f"takes: {inert(str(key))[:60]!r} {what}")
            found[feature] = Parameter(key, _form(name, key, feature, example), example)
        unread, fixed = is_open and not examples, _always(name, always or {}, found)
        return cls(name, found, fixed, tuple(others), unread, _swapped(taken))

    def lacks(self, problem: Problem, layout: Layout) -> str:
        """Why a problem cannot be asked, or nothing: the feature that it needs and the callable does not take so."""
        bias = self.parameters.get("bias")
        if bias is None and "b" in problem.shapes:
            return "bias"
        if bias is not None and bias.needed and "b" not in problem.shapes:
            return "no bias"
        geometry = problem.geometry or Geometry()
        image, kernel = problem.shapes["x"][-layout.rank :], problem.shapes["w"][-layout.rank :]
        for feature, value in _values(geometry, image, kernel).items():
            if feature not in self.parameters and value != self._done(feature, geometry, image, kernel):
                return feature
        try:
            self.arguments(geometry, image, kernel)
        except _Unsaid as lack:
            return lack.feature
        return ""

    def _done(self, feature: str, geometry: Geometry, image: Sequence[int], kernel: Sequence[int]) -> tuple[Any, ...]:
        """What the callable does where it is not told: the value of ``always``, else the plain one."""
        fixed, plain = self.always.get(feature), Geometry((1,) * geometry.rank, "valid", (1,) * geometry.rank)
        if fixed is None:
            return _values(plain, image, kernel)[feature]
        example = fixed.example
        if feature == "groups":
            return (example,)
        if fixed.form == "word":
            return Geometry(geometry.stride, _WORDS[example.lower()], geometry.dilation).pads(image, kernel)
        each = (example,) * geometry.rank if fixed.form == "number" else tuple(example)
        return tuple(tuple(v) if fixed.form == "sides" else (v, v) for v in each) if feature == "padding" else each

    def arguments(self, geometry: Geometry, image: Sequence[int], kernel: Sequence[int]) -> dict[str, Any]:
        """The keyword arguments of a call, without the bias, for an image and a kernel of these spatial sizes."""
        found = {}
        for feature, value in _values(geometry, image, kernel).items():
            parameter = self.parameters.get(feature)
            if parameter is not None and parameter.form == "word":
                found[parameter.name] = _word(geometry, value, parameter.example)
            elif parameter is not None:
                found[parameter.name] = _written(feature, value, parameter)
        return found


class _Unsaid(Exception):  # noqa: N818  no error: a problem that cannot be told to a callable is not asked
    """A geometry cannot be written in the forms that a callable takes."""

    def __init__(self, feature: str) -> None:
        super().__init__(feature)
        self.feature = feature


def _values(geometry: Geometry, image: Sequence[int], kernel: Sequence[int]) -> dict[str, tuple[Any, ...]]:
    """The features of a geometry but the bias, each per axis, padding as pairs."""
    return {
        "stride": geometry.stride,
        "padding": geometry.pads(image, kernel),
        "dilation": geometry.dilation,
        "groups": (geometry.groups,),
    }


def _always(name: str, given: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The features that cannot be chosen. Raises UsageError for what is none, and for one that can."""
    found = {}
    for key, example in given.items():
        feature = _FEATURES.get(str(key).lower(), "")
        if feature in ("", "bias") or feature in parameters:
            what = f"is a parameter of {name}" if feature in parameters else f"is none of {', '.join(list(NAMES)[1:])}"
            raise UsageError(f"always: {inert(str(key))[:60]!r} {what}")
        found[feature] = Parameter(str(key), _form(name, str(key), feature, example), example)
    return found


def name_of(function: Any) -> str:
    """What to call a callable, on one line."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None)
    name = name if isinstance(name, str) and name else type(function).__name__
    return "lambda" if name == "<lambda>" else inert(name)[:60]


def _read(
    function: Callable[..., Any], name: str, operands: Sequence[str]
) -> tuple[list[inspect.Parameter], list[inspect.Parameter], bool]:
    """The parameters of the operands, those after them, and whether there may be more that the signature does not tell.

    Raises UsageError where the operands have no place.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # written in C, and does not say
        return [], [], True
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    placed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(placed) < len(operands) and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise UsageError(
            f"{name} takes {len(placed)} by position and is given {len(operands)}, {', '.join(operands)}; {_wrap(name)}"
        )
    taken = placed[: len(operands)]
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return taken, [p for p in parameters if p not in taken and p.kind not in variable], is_open


def _swapped(taken: Sequence[inspect.Parameter]) -> bool:
    """Whether the parameters of image and kernel, the last of the operands, are called the other way round."""
    names = [parameter.name.lower() for parameter in taken[-2:]]
    return len(names) == 2 and names[0] in _KERNELS and names[1] in _IMAGES


def _wrap(name: str) -> str:
    called = "…" if name == "lambda" else f"{name}(…)"
    return f"hand in a function of these, as lambda x, w: {called}"


def _form(name: str, parameter: str, feature: str, example: Any) -> str:
    """The form of a value. Raises UsageError for one that is no value of its feature."""
    form = _seen(feature, example)
    if form in _OFFERED[feature]:
        return form
    offered = " or ".join(FORMS[f] for f in _OFFERED[feature])
    raise UsageError(
        f"{name}: {parameter}={inert(repr(example))[:60]} is no {feature}; that is {offered}; where that is not what "
        f"the default says, takes={{{parameter!r}: …}} says it"
    )


def _seen(feature: str, example: Any) -> str:
    if feature == "bias":
        return "array"
    if example is None:
        return "number" if feature == "groups" else "axes"
    if isinstance(example, str):
        return "word" if example.lower() in _WORDS else ""
    if isinstance(example, (list, tuple)):
        if all(_whole(v) for v in example):
            return "axes" if len(example) <= 3 else ""  # of four numbers nobody knows the order
        pairs = all(isinstance(v, (list, tuple)) and len(v) == 2 and all(map(_whole, v)) for v in example)
        return "sides" if pairs else ""
    return "number" if _whole(example) else ""


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _word(geometry: Geometry, pads: Sequence[tuple[int, int]], example: str) -> str:
    """A padding as the word for it, in the case of the example. Raises _Unsaid where there is none."""
    padding = geometry.padding
    if not isinstance(padding, str):
        padding = "valid" if not any(map(any, pads)) else ""
    known = [word for word, meaning in _WORDS.items() if meaning == padding]
    if not known or (padding == "same_lower" and example.lower() in ("valid", "same")):
        raise _Unsaid("padding")
    word = known[-1] if example.lower().startswith("same_") else known[0]
    return word.upper() if example.isupper() else word


def _written(feature: str, value: Sequence[Any], parameter: Parameter) -> Any:
    """Numbers per axis (pairs, of a padding) in the form of a parameter. Raises _Unsaid where it cannot say them."""
    if feature == "padding" and parameter.form != "sides":
        if any(begin != end for begin, end in value):
            raise _Unsaid(feature)
        value = [begin for begin, _ in value]
    if parameter.form == "number":
        if len(set(value)) != 1:
            raise _Unsaid(feature)
        return value[0]
    outer = type(parameter.example) if isinstance(parameter.example, (list, tuple)) else tuple
    outer = list if outer is list else tuple  # a named tuple is one by its values only
    return outer(tuple(v) if isinstance(v, tuple) else v for v in value)
