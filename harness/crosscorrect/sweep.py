"""From a case to the points of its sweep: the product of the swept values, each with its part of the problem id.

A point is found by its place in the product, so that no other need be made.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from crosscorrect import descriptor
from crosscorrect.errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crosscorrect.yamlfile import Document

_LABEL = re.compile(r"[A-Za-z0-9_.+#-]{1,60}")
_DESCRIPTOR = re.compile(r"[A-Za-z0-9_.+#-]{1,150}")


@dataclass(slots=True)
class Point:
    """A case with the values of one point of its sweep, which knows where in the file each of its keys is written.

    ``path`` is the case's key path, ``origins`` maps a key (dots reaching inside) to the key path of its value,
    ``suffix`` is what the sweep adds to the problem id, ``swept`` its keys.
    """

    data: dict[str, Any]
    path: tuple[str | int, ...]
    origins: dict[str, tuple[str | int, ...]]
    document: Document
    suffix: str = ""
    swept: frozenset[str] = frozenset()

    def put(self, key: str, value: Any, origin: tuple[str | int, ...]) -> None:
        """Set a key, dots reaching inside, to a swept value written at ``origin``; nothing shared is changed."""
        *names, last = key.split(".")
        holder = self.data
        for name in names:
            inner = holder.get(name, {})
            if not isinstance(inner, dict):
                self.fail("a sweep reaches inside this, and it is not a mapping", (name,), inner)
            holder[name] = dict(inner)
            holder = holder[name]
        holder[last] = value
        self.origins[key] = origin

    def fail(self, problem: str, keys: Sequence[str | int] = (), value: object = None, remedy: str = "") -> NoReturn:
        """Raise the CaseError of a defect at a key of this case, with the line where that key is written."""
        place: Sequence[str | int] = self.path
        for length in range(len(keys), 0, -1):
            origin = self.origins.get(".".join(map(str, keys[:length])))
            if origin is not None:
                place = (*origin, *keys[length:])
                break
        key = ".".join(map(str, (f"{self.data.get('id', '?')}{self.suffix}", *keys)))
        line = self.document.line(place)
        raise CaseError(problem, file=self.document.path, line=line, key=key, value=value, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Sweep:
    """The points of one case, one where it has no sweep; places count from 0, the first key changes slowest.

    ``values`` maps each swept key to its values, and ``names`` has, for each, what stands in a problem id.
    """

    values: Mapping[str, Sequence[Any]]
    names: tuple[tuple[str, ...], ...]
    _case: Point
    _order: tuple[str, ...]

    @classmethod
    def of(cls, document: Document, index: int, case: Mapping[str, Any]) -> Sweep:
        """The sweep of case number ``index`` of a document; ``case`` has the defaults filled in.

        Raises CaseError where two values would have one name, or one that cannot stand in a problem id.
        """
        path: tuple[str | int, ...] = ("cases", index)
        origins: dict[str, tuple[str | int, ...]] = {
            key: ("defaults", key) for key in document.value.get("defaults", {})
        }
        origins.update({key: (*path, key) for key in document.value["cases"][index]})
        data = {key: value for key, value in case.items() if key != "sweep"}
        values: Mapping[str, Sequence[Any]] = case.get("sweep", {})
        plain = Point(data, path, origins, document, swept=frozenset(values))
        names = tuple(tuple(f"{key}={name}" for name in _labels(plain, key, own)) for key, own in values.items())
        # x before what reaches inside it
        return cls(values, names, plain, tuple(sorted(values, key=lambda key: key.count("."))))

    def __len__(self) -> int:
        return math.prod(map(len, self.names))

    def digits(self, place: int) -> list[int]:
        """Which value of each key the point at a place has."""
        found = []
        for own in reversed(self.names):
            place, digit = divmod(place, len(own))
            found.append(digit)
        return found[::-1]

    def at(self, digits: Sequence[int]) -> int:
        """The place of the point that has these values of the keys; what ``digits`` tells of a place."""
        place = 0
        for digit, own in zip(digits, self.names, strict=True):
            place = place * len(own) + digit
        return place

    def suffix(self, place: int) -> str:
        """What the point at a place adds to the id of its case."""
        return self._suffix(self.digits(place))

    def place(self, suffix: str) -> int | None:
        """The place of the point that adds this to the id of its case, or None where there is none."""
        parts = suffix.removeprefix("@").split(",") if suffix else []
        if len(parts) != len(self.names) or self._suffixed(parts) != suffix:
            return None
        if not all(part in own for part, own in zip(parts, self.names, strict=True)):
            return None
        return self.at([own.index(part) for part, own in zip(parts, self.names, strict=True)])

    def point(self, place: int) -> Point:
        """The point at a place. Raises CaseError where the sweep reaches inside what is no mapping."""
        digits = self.digits(place)
        case = self._case
        point = Point(dict(case.data), case.path, dict(case.origins), case.document, self._suffix(digits), case.swept)
        chosen = dict(zip(self.values, digits, strict=True))
        for key in self._order:
            digit = chosen[key]
            point.put(key, self.values[key][digit], (*case.path, "sweep", key, digit))
        return point

    def _suffix(self, digits: Sequence[int]) -> str:
        return self._suffixed([own[digit] for own, digit in zip(self.names, digits, strict=True)])

    @staticmethod
    def _suffixed(parts: Sequence[str]) -> str:
        return "@" + ",".join(parts) if parts else ""


def _labels(point: Point, key: str, values: Sequence[Any]) -> list[str]:
    """What names each swept value in a problem id: no separator of the id is in it, and no two are the same."""
    names: dict[str, None] = {}
    for place, value in enumerate(values):
        described = key == "descriptor"
        name, at = _described(value, place) if described else _label(value, place), ("sweep", key, place)
        if not (_DESCRIPTOR if described else _LABEL).fullmatch(name):
            point.fail("this value cannot stand in a problem id", at, value, "make it a mapping with a label")
        if name in names:
            point.fail("two values of this sweep have one name", at, name, "give each a label of its own")
        names[name] = None
    return list(names)


def _label(value: Any, place: int) -> str:
    if isinstance(value, dict):
        named = next((value[kind] for kind in ("label", "picture", "kernel", "fill") if kind in value), None)
        return f"#{place}" if named is None else str(named)
    if isinstance(value, list):
        return f"#{place}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _described(text: str, place: int) -> str:
    """The label of a descriptor; of one that cannot be read, its place until it is refused."""
    try:
        return descriptor.label(text)
    except descriptor.DescriptorError:
        return f"#{place}"
