"""What options of several commands share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable


def pairs(_: click.Context, param: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    """Read repeated ``NAME=VALUE`` options into a mapping."""
    found = {}
    for value in values:
        name, separator, rest = value.partition("=")
        if not (name and separator and rest):
            raise click.BadParameter(f"{value!r} is not NAME=VALUE", param=param)
        found[name] = rest
    return found


def finite(_: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse a number that is none: NaN passes every range."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a number of seconds", param=param)
    return value
