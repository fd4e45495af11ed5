"""Changes to a document that keep most of its sense: keys deleted, doubled, renamed, values retyped and moved about."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

NUMBERS = [0, -0.0, 1, -1, 2, 3.0, 0.5, 255, 2**31, -(2**31), 2**53 + 1, 2**63, 10**308, 1e308, 5e-324, 1e-40]
WORDS = [
    *[
        "own",
        "error",
        "valid",
        "same_upper",
        "same_lower",
        "checksum",
        "forward",
        "grad_input",
        "grad_weight",
        "grad_bias",
        "conv2d",
        "corr2d",
        "layer",
        "matrix",
        "train",
        "differentiate",
        "relation",
        "native",
        "float16",
        "bfloat16",
        "float64",
        "complex64",
        "complex128",
        "int8",
        "uint64",
        "toeplitz",
        "custom",
        "numpy",
        "integers",
        "normal",
        "wide",
        "impulse",
        "codes",
        "constant",
        "smallest",
        "largest",
        "nan",
        "inf",
        "-0",
        "4.9",
        "batch_split",
        "groups",
        "../x.npz",
        "é",
        "s/*",
        "s/[a-",
        ">=1,<2",
        "mb1ic1ih5oc1kh3ph1",
        "g2mb2ic4iw9oc2kw2dw1",
    ],
    *("", "a\n", "\x1b[31m", "\u202e"),
]
KEYS = [
    "operation",
    "x",
    "w",
    "b",
    "dy",
    "dtype",
    "directions",
    "geometry",
    "descriptor",
    "expect",
    "train",
    "form",
    "loop",
    "only",
    "modes",
    "relation",
    "spelling",
    "verify",
    "dirty",
    "level",
    "limit",
    "sweep",
    "fill",
    "shape",
    "of",
    "imag",
    "picture",
    "kernel",
    "npz",
    "key",
    "size",
    "degree",
    "coefficients",
    "sigma",
    "vector",
    "low",
    "high",
    "powers",
    "at",
    "value",
    "seed",
    "flip",
    "transpose",
    "scale",
    "put",
    "label",
    "stride",
    "padding",
    "dilation",
    "transposed",
    "output_padding",
    "lr",
    "steps",
    "layer",
    "start",
    "bias",
    "target",
    "losses",
    "weight",
    "x.shape",
    "w.seed",
    "problems",
    "outcome",
    "reason",
    "message",
    "varies",
    "devices",
    "executed",
    "versions",
    "framework",
    "suite",
    "id",
]
CHANGES = ("delete", "retype", "wrap", "splice", "double", "number", "number")


def mutated(document: Any, random: Random, most: int = 3) -> Any:
    """A copy of plain data with one to ``most`` changes."""
    changed = copy.deepcopy(document)
    for _ in range(random.randint(1, most)):
        places = list(_places(changed))
        if not places:
            return changed
        _change(random.choice(CHANGES), *random.choice(places), places, random)
    return changed


def junk(random: Random, depth: int = 2) -> Any:
    """Any value of JSON, with numbers and words that mean something somewhere."""
    kind = random.randint(0, 7 if depth else 4)
    if kind <= 1:
        return random.choice(NUMBERS)
    if kind <= 3:
        return random.choice(WORDS)
    if kind == 4:
        return random.choice([None, True, False])
    if kind <= 6:
        return [junk(random, depth - 1) for _ in range(random.randint(0, 3))]
    return {random.choice(KEYS): junk(random, depth - 1) for _ in range(random.randint(0, 3))}


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and mapping in a document with each of its positions or keys."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _change(kind: str, holder: Any, key: Any, places: list[tuple[Any, Any]], random: Random) -> None:
    """One change of what a list or mapping holds at a position or key."""
    if kind == "delete":
        del holder[key]
    elif kind == "retype":
        holder[key] = junk(random)
    elif kind == "wrap":
        holder[key] = [holder[key]] if random.random() < 0.5 else {random.choice(KEYS): holder[key]}
    elif kind == "splice":  # a value from elsewhere
        other, at = random.choice(places)
        holder[key] = copy.deepcopy(other[at])
    elif kind == "double" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif kind == "double":
        holder[random.choice(KEYS)] = copy.deepcopy(holder[key])
    else:
        holder[key] = _number(holder[key], random)


def _number(value: Any, random: Random) -> Any:
    if not isinstance(value, (int, float)) or abs(value) > 1e300:
        return random.choice(NUMBERS)
    return random.choice([value + 1, -value, value * 2, value * 2**20, float(value)])
