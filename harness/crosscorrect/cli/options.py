"""What options of several commands share."""

from __future__ import annotations

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
