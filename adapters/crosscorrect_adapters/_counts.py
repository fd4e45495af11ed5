"""Padding as counts for every request, those that make no sense included: the framework is to answer them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Sequence

    from crosscorrect.geometry import Geometry, Pads


def counts(geometry: Geometry, image: Sequence[int], kernel: Sequence[int]) -> Pads:
    """(begin, end) zeros per spatial axis; none where a ``same`` has no meaning, as the stride is no positive number.

    ``image`` and ``kernel`` are spatial sizes. Where their number is not the geometry's rank, the axes that all three
    have are counted.
    """
    if isinstance(geometry.padding, str) and geometry.padding != "valid" and min(geometry.stride) < 1:
        return ((0, 0),) * geometry.rank
    return geometry.pads(image, kernel)
