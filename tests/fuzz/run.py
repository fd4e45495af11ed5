"""Fuzz a target with atheris, guided by coverage: ``python tests/fuzz/run.py TARGET SECONDS [libFuzzer's options]``.

New inputs that reach new code go to ``corpus/TARGET``; an input that fails is written to the current folder.
"""

from __future__ import annotations

import json
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import atheris
from ruamel.yaml import YAML

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

with atheris.instrument_imports(include=["crosscorrect", "ruamel.yaml", "packaging", "zipfile"]):
    from targets import TARGETS

from mutate import mutated  # noqa: E402  only what is tested is instrumented

LIMITS = ["-max_len=4096", "-rss_limit_mb=2560", "-timeout=20", "-report_slow_units=10"]


def document(data: bytes) -> Any:
    """What a file says, or None where it says nothing."""
    try:
        return json.loads(data)
    except ValueError:
        try:
            return json.loads(json.dumps(YAML(typ="safe", pure=True).load(data.decode()), default=str))
        except Exception:  # noqa: BLE001  the bytes are no document, so they are mutated as bytes
            return None


def structured(data: bytes, most: int, seed: int) -> bytes:
    """Every other mutation is one of the document that the bytes spell."""
    if seed % 2 and (said := document(data)) is not None:
        written = json.dumps(mutated(said, random.Random(seed)), default=str)  # noqa: S311  nothing secret
        spelt = written.replace("Infinity", ".inf").replace("NaN", ".nan").encode()  # as YAML has them
        if len(spelt) <= most:
            return spelt
    return bytes(atheris.Mutate(data, most))


def main() -> None:
    """Run one target for so many seconds."""
    name, seconds, *options = sys.argv[1:]
    warnings.simplefilter("error")
    corpus = HERE / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)

    def once(data: bytes) -> None:
        TARGETS[name](data)

    words = HERE / f"{name}.dict"
    extra = [f"-dict={words}"] if words.exists() else []
    arguments = [sys.argv[0], f"-max_total_time={seconds}", *LIMITS, *extra, *options, str(corpus)]
    custom = {"custom_mutator": structured} if name in ("suite", "expectations") else {}
    atheris.Setup(arguments, once, **custom)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
