"""Measure how soon a run speaks: ``python docs/measure/start.py NAME [PYTHON]``.

Prints the seconds of ``import NAME`` alone in a fresh interpreter, and of ``crosscorrect run chapter`` to its first
verdict and to its end, report written; three times, because a shared machine is never quiet.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time


def main(name: str, python: str = sys.executable) -> None:
    """Run the three measurements three times over."""
    run = [sys.executable, "-m", "crosscorrect", "run", "chapter", "-f", name, "--python", f"{name}={python}"]
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([python, "-c", f"import {name}"], check=True, capture_output=True)  # noqa: S603  our own command
        imported = time.perf_counter() - begin
        with tempfile.TemporaryDirectory() as results:
            begin, first = time.perf_counter(), None
            with subprocess.Popen(  # noqa: S603  our own command
                [*run, "--results", results], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            ) as process:
                for line in process.stderr or ():
                    if first is None and "first verdict" in line:
                        first = time.perf_counter() - begin
            total = time.perf_counter() - begin
        print(f"import {imported:5.2f} s   first verdict {first or float('nan'):5.2f} s   whole run {total:5.2f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
