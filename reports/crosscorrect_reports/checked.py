"""How a check of a person's own convolution looks: as text, in a terminal, and drawn in a notebook."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

import crosscorrect
from crosscorrect.layout import assumed
from crosscorrect.model import Direction, Outcome
from crosscorrect.takes import FORMS, NAMES, SWAPPED
from crosscorrect_reports.grids import MOST_SLICES, Grid, draw
from crosscorrect_reports.outcomes import STYLES
from crosscorrect_reports.text import clean, encodable, measured, number, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crosscorrect.checked import Checked, Failure, Group
    from crosscorrect.takes import Takes

    Array = np.ndarray[Any, Any]

_FRAME = re.compile(r'File "([^"\n]+)", line (\d+), in (\S+)')
_OURS = (str(Path(crosscorrect.__file__).parent), "crosscorrect_adapters", "site-packages")
"""Where the frames of a traceback are ours, and tell a person nothing about theirs."""

MOST_GROUPS = 4
"""How many causes are told; ``checks`` has all failures."""
SMALL = 100
"""Arrays of up to so many numbers are written out in a terminal."""
LONGEST = 300
"""How many characters of a sentence are shown."""
SHORT = 80
"""How many of an exception that is told beside others."""


def text(checked: Checked) -> str:
    """Return the verdict as text: what failed and why, the clearest failure with its arrays, and what was asked.

    Nothing in it is obeyed by a terminal, whatever the callable's exceptions say.
    """
    lines = [headline(checked), *(f"  {line}" for line in advice(checked))]
    for place, group in enumerate(checked.groups[:MOST_GROUPS]):
        lines += _group(group, first=place == 0, alone=len(checked.groups) == 1)
    if len(checked.groups) > MOST_GROUPS:
        lines.append(f"  and {plural(len(checked.groups) - MOST_GROUPS, 'other cause')}")
    lines += [f"  {line}" for line in notes(checked)]
    return encodable(clean("\n".join(lines)), getattr(sys.stdout, "encoding", None) or "utf-8")


def headline(checked: Checked) -> str:
    """Return the verdict in one line."""
    total = len(checked.rows)
    if checked:
        exact = all(not row.error for row in checked.rows)
        ratio = max((row.ratio or 0.0 for row in checked.rows), default=0.0)
        how = "all exactly right" if exact else f"rounding errors at most {number(ratio, 2)} of their bound"
        return f"{checked.name}: PASS, {plural(total, 'check')}, {how}"
    refused = checked.totals[Outcome.UNSUPPORTED]
    wrong, of = len(checked.failures) - refused, plural(total, "check")
    said = f"{wrong} of {of}" + (f", {refused} refused" if refused else "") if wrong else f"{refused} refused of {of}"
    where = _directions(checked.failures) if any(row.direction is not Direction.FORWARD for row in checked.rows) else ""
    return f"{checked.name}: FAIL, {said}{where}: {one_line(checked.diagnosis, LONGEST // 2)}"


def _directions(failures: Iterable[Failure]) -> str:
    """Return the directions that failed, in brackets."""
    return f" ({', '.join(dict.fromkeys(failure.check.direction for failure in failures))})"


def advice(checked: Checked) -> list[str]:
    """Return what may have been asked otherwise than was meant, a line each: it comes before what failed."""
    said = [SWAPPED] if checked.handmade.takes.swapped else []
    if checked.refused and checked.failures:
        said.append(assumed(checked.handmade.layout))
        tried: dict[str, list[str]] = {}
        for letters, why in checked.refused.items():
            tried.setdefault(one_line(why, SHORT), []).append(letters)
        said.append("tried: " + "; ".join(f"{', '.join(letters)}: {why}" for why, letters in tried.items()))
    return said


def notes(checked: Checked) -> list[str]:
    """Return what was asked and what was not, and how to go on, a line each."""
    takes, axes = checked.handmade.takes, ", ".join(checked.handmade.layout.letters)
    dtypes = ", ".join(dict.fromkeys(row.dtype for row in checked.rows))
    directions = ", ".join(dict.fromkeys(row.direction for row in checked.rows))
    said = [f"asked: images ({axes}), {checked.arrays}, {dtypes}; {directions}; {number(checked.seconds, 2)} s"]
    known = [p for feature in NAMES if (p := takes.parameters.get(feature)) and feature not in ("bias", "groups")]
    if known:
        said.append("given: " + "; ".join(f"{p.name} as {FORMS[p.form]}" for p in known))
    if takes.always:
        said.append("always: " + "; ".join(f"{p.name} {p.example!r}" for p in takes.always.values()))
    if checked.unasked:
        counts = ", ".join(f"{_lack(takes, lack)} ({count})" for lack, count in checked.unasked.items())
        unread = "its signature cannot be read; say takes={…}"
        said.append(f"not asked, because {unread if takes.unread else 'it does not take it'}: {counts}")
    if takes.others:
        said.append(f"left at their defaults: {', '.join(takes.others)}")
    if checked.left_out:
        count = plural(len(checked.left_out), "problem")
        said.append(f"left out, to stay within {number(checked.budget)} s: {count}; a larger budget asks them, too")
    if checked.failures and all(map(_grown, checked.failures)):
        said.append("its outputs are as large as its images: if that is meant, say always={'padding': 'same'}")
    errors = all(row.outcome is Outcome.ERROR for row in checked.rows)
    if errors and checked.arrays == "numpy" and sys.modules.keys() & {"torch", "jax"}:
        said.append("it was given NumPy arrays: for a function of tensors say arrays='torch' or arrays='jax'")
    if checked.run is not None:
        said.append(f"run folder: {checked.run.folder}")
    if checked.failures:
        said.append("more: .failures, each with .x, .w, .arguments, .output, .reference and .call(), and .checks")
    return said


def _grown(failure: Failure) -> bool:
    """Whether an output has the size of its image, where that is wrong."""
    output, right = failure.output, failure.reference
    if output is None or right is None or output.ndim != right.ndim or output.shape == right.shape:
        return False
    layout = failure.handmade.layout
    return bool(layout.image_back(output, 0).shape[2:] == layout.image_back(failure.x, 0).shape[2:])


def _lack(takes: Takes, lack: str) -> str:
    parameter = takes.parameters.get(lack)
    if lack in takes.always:
        return f"other {lack}"
    return lack if parameter is None else f"{lack} other than {FORMS[parameter.form]}"


def _group(group: Group, *, first: bool, alone: bool) -> list[str]:
    """Return the lines of one cause, with its clearest failure; the arrays of the first one only."""
    failure = group.shown
    told = alone and len(group.sentence) <= LONGEST // 2  # in the headline
    lines = [] if told else [f"  {counted(group)}: {one_line(group.sentence, LONGEST)}"]
    if group.evidence:
        lines.append(f"    ({one_line(group.evidence, LONGEST)})")
    gradient = "" if failure.check.direction is Direction.FORWARD else f"{failure.check.direction} of "
    lines.append(f"    {gradient}{failure.check.problem}: {one_line(failure.told, LONGEST)}")
    lines += [f"    {line}" for line in found(group)]
    if first:
        lines += [line for name, array in _arrays(failure) for line in _written(name, array)]
        lines.append(f"    again: the same check with only=[{failure.check.problem!r}]")
    return lines


def counted(group: Group) -> str:
    """Return how many failures a group has, and of which directions where they are gradients."""
    said = f"{len(group.failures)} refused" if group.refusal else plural(len(group.failures), "failure")
    gradient = any(failure.check.direction is not Direction.FORWARD for failure in group.failures)
    return said + (_directions(group.failures) if gradient else "")


def found(group: Group) -> list[str]:
    """Return what was right and what came of the failure that is shown, a line each, beside what the group says."""
    failure, check = group.shown, group.shown.check
    if failure.where is not None:
        wanted, got = (measured(value, 9).replace("−", "-") for value in (check.expected, check.got))  # to be pasted
        said = f"at {failure.where} {wanted} is right and {got} was returned"
        far = check.ratio is not None and np.isfinite(check.ratio)
        return [f"{said}, {number(check.ratio, 3)} times the bound away" if far else said]
    right, output = failure.reference, failure.output
    if right is not None and output is not None and right.shape != output.shape:
        return [f"shape {right.shape} is right and {output.shape} was returned"]
    lines = [] if check.message in group.sentence else [one_line(check.message, LONGEST)]
    frames = [f for f in _FRAME.findall(check.stderr) if not any(part in f[0] for part in _OURS)]
    return lines + [f"in {name}, {one_line(file, LONGEST)} line {line}" for file, line, name in frames[-1:]]


def _arrays(failure: Failure) -> list[tuple[str, Array]]:
    """Return the arrays of a failure with their names; of outputs of many planes the one with the worst element."""
    of = "" if failure.check.direction is Direction.FORWARD else f" {failure.check.direction}"
    answers = [(f"returned{of}", failure.output), (f"right{of}", failure.reference)]
    named = [(name, array) for name, array in (*failure.inputs.items(), *answers) if array is not None]
    return [_plane(failure, name, array) for name, array in named]


def _plane(failure: Failure, name: str, array: Array) -> tuple[str, Array]:
    """Return one plane of an array of many, and its name: that of the worst element of an output, or the only one."""
    place = (0,) * array.ndim if name in failure.inputs or failure.where is None else failure.where
    if (
        array.ndim < 3
        or not array.size
        or len(place) != array.ndim
        or not failure.handmade.layout.letters.endswith("W")
    ):
        return name, array
    plane = array[place[:-2]]
    several = name in failure.inputs and plane.size < array.size
    return (name, array) if several else (f"{name}[{', '.join(map(str, place[:-2]))}]", plane)


def _written(name: str, array: Array) -> list[str]:
    if not 0 < array.size <= SMALL or array.ndim > 2:
        return [f"    {name:>8}: {array.dtype} {array.shape}"]
    numbers = np.array2string(array, separator=", ", precision=7, threshold=SMALL, max_line_width=100)
    first, *rest = numbers.splitlines()
    return [f"    {name:>8} = {first}", *(f"    {'':{max(8, len(name))}}   {line}" for line in rest)]


def terminal(checked: Checked) -> Any:
    """Return the verdict for ``rich.print``: the same text, its headline in the colour of the outcome."""
    from rich.text import Text  # noqa: PLC0415  rich is loaded when something is printed

    head, _, rest = text(checked).partition("\n")
    style = STYLES[Outcome.PASS if checked else Outcome.FAIL]
    shown = Text(head, style=style.rich)
    return shown.append(f"\n{rest}", style="default") if rest else shown


def html(checked: Checked) -> str:
    """Return the verdict for a notebook: one element with its own style sheet, in the colours around it.

    Every text that the callable or a suite may have written is escaped.
    """
    from crosscorrect_reports.page import environment  # noqa: PLC0415  templates are for notebooks only

    shown = [(group, counted(group), found(group), panel(group.shown)) for group in checked.groups[:MOST_GROUPS]]
    return (
        environment()
        .get_template("checked.html")
        .render(
            headline=headline(checked),
            outcome=Outcome.PASS if checked else Outcome.FAIL,
            groups=shown,
            others=max(0, len(checked.groups) - MOST_GROUPS),
            advice=advice(checked),
            notes=notes(checked),
            rules=Markup(_rules()),  # noqa: S704  our own file
            longest=LONGEST,
        )
    )


@cache
def _rules() -> str:
    """Return the rules of the page's style sheet that grids need, for one element only."""
    sheet = (files("crosscorrect_reports") / "templates" / "style.css").read_text(encoding="utf-8")
    lines = [line for line in sheet.splitlines() if line.startswith((".grid", ".sum", "figure", "img.px"))]
    return re.sub(r"(^|\}) *(?=[.a-z])", r"\1 .crosscorrect ", "\n".join(lines), flags=re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Panel:
    """A failure as a person would draw it: image ⋆ kernel = right, ≠ returned; ``plane`` says which of many."""

    plane: str
    image: list[Grid]
    kernel: list[Grid]
    bias: str
    right: list[Grid]
    returned: list[Grid]


def panel(failure: Failure) -> Panel | None:
    """Return the drawing of a failure: those planes of image, kernel and output that have to do with the worst element.

    None where the direction is a gradient, or there are not two axes to draw.
    """
    layout = failure.handmade.layout
    if failure.check.direction is not Direction.FORWARD or layout.rank > 2 or failure.reference is None:
        return None
    x, w = layout.image_back(failure.x, 0), layout.kernel_back(failure.w, 0)
    right = layout.image_back(failure.reference, 0)
    output = None if failure.output is None else layout.image_back(failure.output, 0)
    at = _canonical(failure, right)
    example, channel, place = at[0], at[1], at[2:]
    inputs = w.shape[1]
    first = channel // max(1, w.shape[0] // failure.geometry.groups) * inputs
    worst = [_flat(place)] if failure.where is not None else []
    window = _window(failure, x, w, place)
    b = failure.b
    return Panel(
        plane="" if x.shape[:2] == (1, 1) and w.shape[0] == 1 else f"example {example}, output channel {channel}",
        image=_channels(x[example, first : first + inputs], "image", window),
        kernel=_channels(w[channel], "kernel", []),
        bias="" if b is None else number(np.ravel(b)[channel if b.size > 1 else 0]),
        right=draw(right[example, channel], "right", worst),
        returned=_returned(output, right, example, channel, worst),
    )


def _channels(array: Array, label: str, window: list[tuple[int, int]]) -> list[Grid]:
    """Draw (C, *space) channel by channel, the first ones."""
    if len(array) == 1:
        return draw(array[0], label, window)
    drawn = [
        grid for c, plane in enumerate(array[:MOST_SLICES]) for grid in draw(plane, f"{label}, channel {c}", window)
    ]
    left = len(array) - MOST_SLICES
    return (
        drawn if left <= 0 else [*drawn, Grid(f"and {plural(left, 'other channel')}", "×".join(map(str, array.shape)))]
    )


def _returned(
    output: Array | None, right: Array, example: int, channel: int, marks: list[tuple[int, int]]
) -> list[Grid]:
    if output is None or not output.size or output.dtype.kind not in "fiu":
        return []
    if output.ndim != right.ndim or example >= output.shape[0] or channel >= output.shape[1]:
        return draw(output, "returned")
    return draw(output[example, channel], "returned", marks, "wrong")


def _canonical(failure: Failure, right: Array) -> tuple[int, ...]:
    """The index of the worst element in an output (N, C, *space), or of the first."""
    if failure.where is None:
        return (0,) * right.ndim
    mark = np.zeros(failure.reference.shape if failure.reference is not None else right.shape, bool)
    mark[failure.where] = True
    return tuple(int(i) for i in np.argwhere(failure.handmade.layout.image_back(mark, 0))[0])


def _window(failure: Failure, x: Array, w: Array, place: tuple[int, ...]) -> list[tuple[int, int]]:
    """The cells of the image under the kernel where it makes the worst element."""
    if failure.where is None:
        return []
    geometry, image, kernel = failure.geometry, x.shape[2:], w.shape[2:]
    if geometry.rank != len(image):
        return []
    pads = geometry.pads(image, kernel)
    taps = [
        [i * s - begin + d * t for t in range(k)]
        for i, s, (begin, _), d, k in zip(place, geometry.stride, pads, geometry.dilation, kernel, strict=True)
    ]
    inside = [[p for p in axis if 0 <= p < size] for axis, size in zip(taps, image, strict=True)]
    rows = inside[0] if len(inside) == 2 else [0]
    return [(row, column) for row in rows for column in inside[-1]]


def _flat(place: tuple[int, ...]) -> tuple[int, int]:
    return (0, place[0]) if len(place) == 1 else (place[0], place[1])
