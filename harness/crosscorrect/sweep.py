"""From a case to the points of its sweep: the product of the swept values, each with its part of the problem id."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from crosscorrect import descriptor
from crosscorrect.errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
        holder, names = self.data, key.split(".")
        for name in names[:-1]:
            inner = holder.get(name, {})
            if not isinstance(inner, dict):
                self.fail("a sweep reaches inside this, and it is not a mapping", (name,), inner)
            holder[name] = dict(inner)
            holder = holder[name]
        holder[names[-1]] = value
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


def points(document: Document, index: int, case: Mapping[str, Any]) -> Iterator[Point]:
    """Each point of a case's sweep, the first key changing slowest, or the one point of a case without a sweep.

    ``case`` is case number ``index`` of the document with the defaults filled in. Raises CaseError where two values of
    a sweep would have one name, or where a sweep reaches inside what is no mapping.
    """
    path: tuple[str | int, ...] = ("cases", index)
    origins: dict[str, tuple[str | int, ...]] = {key: ("defaults", key) for key in document.value.get("defaults", {})}
    origins.update({key: (*path, key) for key in document.value["cases"][index]})
    data = {key: value for key, value in case.items() if key != "sweep"}
    sweep: Mapping[str, Sequence[Any]] = case.get("sweep", {})
    names = [_labels(Point(data, path, origins, document), key, values) for key, values in sweep.items()]
    for places in itertools.product(*map(range, map(len, sweep.values()))):
        parts = [f"{key}={own[place]}" for key, own, place in zip(sweep, names, places, strict=True)]
        suffix = "@" + ",".join(parts) if parts else ""
        point = Point(dict(data), path, dict(origins), document, suffix, frozenset(sweep))
        chosen = dict(zip(sweep, places, strict=True))
        for key in sorted(chosen, key=lambda key: key.count(".")):  # x before what reaches inside it
            point.put(key, sweep[key][chosen[key]], (*path, "sweep", key, chosen[key]))
        yield point


def _labels(point: Point, key: str, values: Sequence[Any]) -> list[str]:
    """What names each swept value in a problem id: no separator of the id is in it, and no two are the same."""
    names: list[str] = []
    for place, value in enumerate(values):
        described = key == "descriptor"
        name, at = _described(value, place) if described else _label(value, place), ("sweep", key, place)
        if not (_DESCRIPTOR if described else _LABEL).fullmatch(name):
            point.fail("this value cannot stand in a problem id", at, value, "make it a mapping with a label")
        if name in names:
            point.fail("two values of this sweep have one name", at, name, "give each a label of its own")
        names.append(name)
    return names


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
