"""How often the suites catch what is hard to catch: wrong arithmetics and single lost products, over twenty seeds.

``python docs/measure/power.py [SEEDS]`` puts each mutant through level ``smoke``, which level ``ci`` holds, with the
data of one seed after the other, and prints in how many of them it was killed, and by how many cases at least. The
lost tap is asked of sums of 4608 products only.
"""

from __future__ import annotations

import sys

from crosscorrect import registry
from crosscorrect.selection import Selection
from crosscorrect.selftest import selftest
from crosscorrect.suite import find_suites, load_suite

MUTANTS = (
    "tf32-inputs",
    "bf16-inputs",
    "bf16-output",
    "truncating-accumulator",
    "last-input-channel-dropped",
    "one-element-wrong",  # 3e-4 S added to one element
)
LONG = "smoke/many-exact"


def main(seeds: int) -> None:
    """Print one line for each mutant."""
    numpy = registry.known("numpy").load()
    loaded = [load_suite(path) for path in find_suites(["smoke"])]
    problems = list(Selection(loaded, level="smoke"))
    asked = [(MUTANTS, problems), (("one-lost-tap",), [p for p in problems if p.id == LONG])]
    for names, chosen in asked:
        killed: dict[str, list[int]] = {name: [] for name in names}
        for seed in range(1, seeds + 1):
            for score in selftest(numpy, chosen, names, seed=seed):
                killed[score.name].append(len(score.cases))
        for name, cases in killed.items():
            print(f"{name:<28} killed with {sum(map(bool, cases))} of {seeds} seeds, by {min(cases)} cases or more")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
