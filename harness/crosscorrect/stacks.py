"""Where the threads of a hung worker are, in C as well as in Python, read from outside by py-spy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SECONDS = 5.0
"""How long a look may take: a process that is stopped cannot be looked at."""
LONGEST = 16 * 1024
HEAD = "--- stacks, native frames included (py-spy) ---"


def native(pid: int) -> str:
    """The stacks of a process's threads under a heading, or one line that says why there are none."""
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        return "(no native stacks: py-spy is not installed here)"
    try:
        looked = subprocess.run(  # noqa: S603  a tool of this environment
            [program, "dump", "--native", "--pid", str(pid)],
            capture_output=True,
            timeout=SECONDS,
            check=False,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except subprocess.TimeoutExpired:
        return f"(no native stacks: the process could not be looked at within {SECONDS:g} s)"
    except OSError as error:
        return f"(no native stacks: {program}: {error.strerror})"
    if looked.returncode:
        return f"(no native stacks: {' '.join(looked.stderr.split())[:300]})"
    shown = looked.stdout
    if len(shown) > LONGEST:
        shown = f"{shown[: LONGEST // 2]}\n…\n{shown[-LONGEST // 2 :]}"
    return f"{HEAD}\n{shown}"
