"""The figures of the training runs: losses over the reference, and their distance from it in its envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect_reports.drawing import BAND, FAINT, INK, look, svg
from crosscorrect_reports.marks import no_ticks
from crosscorrect_reports.outcomes import looks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from crosscorrect_reports.learning import Curve, Lesson


def learning(lesson: Lesson, frameworks: Sequence[str]) -> Markup:
    """Losses on a log scale over the float64 reference, and each run's distance from it in units of its envelope.

    Runs that coincide are told apart by their place: within a step each framework has its own.
    """
    curves = [curve for curve in lesson.curves if len(curve.losses)]
    variants = list(dict.fromkeys(curve.variant for curve in curves))
    names = [name for name in frameworks if any(c.framework == name for c in curves)]
    with look():
        return svg(
            _learning(lesson, curves, variants, names),
            lesson.anchor,
            f"Losses of {lesson.case}: {len(curves)} training runs of {', '.join(names)}",
        )


def _learning(lesson: Lesson, curves: list[Curve], variants: list[str], names: list[str]) -> Any:
    from matplotlib.figure import Figure  # noqa: PLC0415  half a second that only a page with figures needs

    height = max(4.2, 1.6 + 1.05 * len(variants))
    figure = Figure(figsize=(10.4, height), facecolor="none")
    grid = figure.add_gridspec(
        len(variants), 2, wspace=0.13, hspace=0.34, left=0.055, right=0.995, bottom=0.5 / height, top=1 - 0.3 / height
    )
    _losses(figure.add_subplot(grid[:, 0]), lesson, [c for c in curves if c.variant == variants[0]], names)
    shared = None
    for index, variant in enumerate(variants):
        axes = figure.add_subplot(grid[index, 1], sharex=shared)
        shared = shared or axes
        _distances(axes, [c for c in curves if c.variant == variant], names)
        axes.set_title(
            f"(loss − reference) / envelope, {variant}" if index == 0 else variant, loc="left", fontsize=10, pad=4
        )
        axes.tick_params(labelbottom=index == len(variants) - 1)
        if index == len(variants) - 1:
            axes.set_xlabel("step")
    return figure


def _losses(axes: Any, lesson: Lesson, curves: list[Curve], names: list[str]) -> None:
    style = looks(names)
    drawn: set[bytes] = set()
    for curve in curves:
        steps = np.arange(1, len(curve.references) + 1)
        if curve.references.tobytes() not in drawn:
            drawn.add(curve.references.tobytes())
            low = np.maximum(curve.references - curve.bounds, curve.references * 1e-3)
            axes.fill_between(steps, low, curve.references + curve.bounds, color=BAND, linewidth=0)
            axes.plot(
                steps,
                curve.references,
                color=FAINT,
                linewidth=1.2,
                zorder=1,
                label="float64" if len(drawn) == 1 else None,
            )
    for name, offset in zip(names, _offsets(len(names)), strict=True):
        own = [curve for curve in curves if curve.framework == name]
        for index, curve in enumerate(own):
            at = np.arange(1, len(curve.losses) + 1) + offset
            axes.plot(
                at,
                np.where(curve.losses > 0, curve.losses, np.nan),
                linestyle="none",
                marker=style[name][1],
                markersize=4.5,
                color=style[name][0],
                label=name if index == 0 else None,
                zorder=2,
            )
    for step, digits in zip(lesson.steps, lesson.wanted, strict=False):
        if float(digits) > 0:
            axes.annotate(
                digits,
                (step, float(digits)),
                xytext=(0, 13),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=INK,
            )
            axes.plot(
                [step],
                [float(digits)],
                marker="_",
                markersize=22,
                markeredgewidth=1.4,
                color=INK,
                zorder=3,
                label="printed" if step == lesson.steps[0] else None,
            )
    _guides(axes, lesson, curves)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.margins(x=0.03, y=0.08)
    axes.set_xlabel("step")
    axes.set_title(f"loss ({curves[0].variant})" if curves else "loss", loc="left", fontsize=10, pad=4)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=8, frameon=False, loc="lower left", labelcolor=INK)


def _guides(axes: Any, lesson: Lesson, curves: list[Curve]) -> None:
    """Draw the slopes that theory gives, from the first loss: along one eigenvector each; a mixture lies between."""
    rates = sorted({f"{rate:.3g}" for rate in lesson.rates if 0.01 < rate < 1}, key=float, reverse=True)
    if not curves or len(curves[0].references) < 2:
        return
    steps = np.arange(1, len(curves[0].references) + 1)
    for rate, dashes in zip([*rates[:1], *rates[1:][-1:]], ((1, 2), (5, 2)), strict=False):
        line = curves[0].references[0] * float(rate) ** (2 * (steps - 1))
        axes.plot(steps, line, color=FAINT, linestyle=(0, dashes), linewidth=1, zorder=0, label=f"{rate}² per step")


def _distances(axes: Any, curves: list[Curve], names: list[str]) -> None:
    style = looks(names)
    axes.axhspan(-1, 1, color=BAND, linewidth=0, zorder=0)
    axes.axhline(0, color=FAINT, linewidth=0.8, zorder=1)
    reach = 1.0
    for name, offset in zip(names, _offsets(len(names)), strict=True):
        for curve in (c for c in curves if c.framework == name):
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = (curve.losses - curve.references) / curve.bounds
            ratio = np.where(curve.losses == curve.references, 0.0, ratio)
            finite = ratio[np.isfinite(ratio)]
            reach = max(reach, float(np.abs(finite).max()) if finite.size else reach)
            filled = style[name][0] if curve.mode == "eager" else "none"
            axes.plot(
                np.arange(1, len(ratio) + 1) + offset,
                ratio,
                linestyle="none",
                marker=style[name][1],
                markersize=4,
                markerfacecolor=filled,
                markeredgecolor=style[name][0],
                zorder=2,
            )
    axes.set_yscale("symlog", linthresh=0.01, linscale=0.6)
    axes.set_ylim(-1.6 * reach, 1.6 * reach)
    ticks = [-1, -0.1, 0, 0.1, 1] if reach <= 1 else [-reach, -1, 0, 1, reach]
    axes.set_yticks(ticks, [f"{tick:.3g}".replace("-", "−") for tick in ticks])
    axes.yaxis.set_minor_locator(no_ticks())
    axes.xaxis.get_major_locator().set_params(integer=True)


def _offsets(count: int) -> list[float]:
    return [0.0] if count == 1 else [float(v) for v in np.linspace(-0.3, 0.3, count)]
