"""How a kernel moves over an image: stride, padding, dilation, groups, and the sizes that follow.

This module travels to every worker, so it is plain Python 3.8 and needs nothing but the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Sequence, Tuple, Union

Pads = Tuple[Tuple[int, int], ...]
"""Padding per spatial axis, as (begin, end) counts of zeros."""

PADDING_WORDS = ("valid", "same_upper", "same_lower")


@dataclass(frozen=True)
class Geometry:
    """The hyper-parameters of a cross-correlation over ``len(stride)`` spatial axes (1, 2 or 3).

    ``padding`` is a word of ``PADDING_WORDS`` or explicit (begin, end) counts per axis. ``same_upper`` puts
    the odd zero of an odd total at the end, ``same_lower`` at the beginning (ONNX Conv, ``auto_pad``); the
    output then has ``ceil(input / stride)`` elements. Kernels are OIHW, ``(out, in / groups, *kernel)``; those
    of a transposed correlation are ``(in, out / groups, *kernel)``, and its padding is what it takes *off*
    the full output, as in the adjoint of the correlation with the same geometry.
    """

    stride: Tuple[int, ...] = (1, 1)
    padding: Union[str, Pads] = "valid"
    dilation: Tuple[int, ...] = (1, 1)
    groups: int = 1
    transposed: bool = False
    output_padding: Tuple[int, ...] = (0, 0)

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.stride)

    def spans(self, kernel: Sequence[int]) -> Tuple[int, ...]:
        """The extent of a dilated kernel, per axis: ``dilation * (kernel - 1) + 1``."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, kernel))

    def pads(self, image: Sequence[int], kernel: Sequence[int]) -> Pads:
        """The explicit padding for an image and a kernel of these spatial sizes.

        A transposed correlation takes explicit pads or ``valid`` only: a word that asks for a size has no
        single meaning there (ValueError).
        """
        if not isinstance(self.padding, str):
            return self.padding
        if self.padding == "valid":
            return ((0, 0),) * self.rank
        if self.transposed:
            raise ValueError(f"padding {self.padding!r} has no single meaning when transposed; give counts")
        pads = []
        for size, span, step in zip(image, self.spans(kernel), self.stride):
            total = max((-(-size // step) - 1) * step + span - size, 0)
            small, large = total // 2, total - total // 2
            pads.append((small, large) if self.padding == "same_upper" else (large, small))
        return tuple(pads)

    def output_size(self, image: Sequence[int], kernel: Sequence[int]) -> Tuple[int, ...]:
        """The spatial size of the output; an axis is 0 or less where the kernel does not fit.

        Correlation: ``(size + pads - span) // stride + 1`` (the chapter's ``H - h + 1`` at stride 1 without
        padding). Transposed: ``(size - 1) * stride - pads + span + output_padding``.
        """
        pads, spans = self.pads(image, kernel), self.spans(kernel)
        if self.transposed:
            return tuple(
                (n - 1) * s - sum(p) + span + extra
                for n, s, p, span, extra in zip(image, self.stride, pads, spans, self.output_padding)
            )
        return tuple((n + sum(p) - span) // s + 1 for n, p, span, s in zip(image, pads, spans, self.stride))

    def output_shape(self, x: Sequence[int], w: Sequence[int]) -> Tuple[int, ...]:
        """The full output shape ``(N, out, *size)`` for an input and a kernel of these shapes."""
        channels = w[1] * self.groups if self.transposed else w[0]
        return (x[0], channels, *self.output_size(x[2:], w[2:]))

    def explicit(self, image: Sequence[int], kernel: Sequence[int]) -> Geometry:
        """The same geometry with its padding spelt as counts."""
        return Geometry(
            self.stride, self.pads(image, kernel), self.dilation, self.groups, self.transposed, self.output_padding
        )

    def to_json(self) -> Dict[str, Any]:
        """A mapping of plain JSON values that ``from_json`` reads back."""
        padding = self.padding if isinstance(self.padding, str) else [list(p) for p in self.padding]
        return {
            "stride": list(self.stride),
            "padding": padding,
            "dilation": list(self.dilation),
            "groups": self.groups,
            "transposed": self.transposed,
            "output_padding": list(self.output_padding),
        }

    @classmethod
    def from_json(cls, data: Dict[str, Any]) -> Geometry:
        """Read what ``to_json`` wrote."""
        padding = data["padding"]
        return cls(
            stride=tuple(data["stride"]),
            padding=padding if isinstance(padding, str) else tuple((int(b), int(e)) for b, e in padding),
            dilation=tuple(data["dilation"]),
            groups=int(data["groups"]),
            transposed=bool(data["transposed"]),
            output_padding=tuple(data["output_padding"]),
        )
