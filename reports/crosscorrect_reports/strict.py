"""Values as every reader of JSON takes them: no NaN, no infinity, no half of a surrogate pair, no type of NumPy's."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from crosscorrect_reports.text import clean


def strict(value: Any) -> Any:
    """Return a value with NaN as None and infinity as the text ``Infinity``, through mappings and lists.

    Text has its control characters shown, as ``text.clean`` does.
    """
    if isinstance(value, dict):
        return {str(strict(key)): strict(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(inner) for inner in value]
    if isinstance(value, str):
        return clean(str(value))  # of a word that is one of a closed set, the plain text
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return bool(value) if isinstance(value, (bool, np.bool_)) else int(value)
    return _number(float(value)) if isinstance(value, (float, np.floating)) else value


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def dump(value: Any) -> str:
    """Return the JSON text of a value made ``strict``, which ends with a line feed."""
    return json.dumps(strict(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
