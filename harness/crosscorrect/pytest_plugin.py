"""pytest collects YAML suites as items: ``pytest --crosscorrect torch cases/``, with all that pytest has as usual.

Each item is one problem in one mode of one framework. It passes when every check is as the committed expectations say,
is an expected failure (xfail) where they list one, and fails otherwise, also when a listed failure passes. The rows go
to a run folder that ``crosscorrect merge`` and ``report`` read. Without ``--crosscorrect`` the plugin does nothing, and
loads nothing: what it does is in ``pytest_items`` and ``pytest_session``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from crosscorrect.adapter import MODES

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.pytest_session import Session

SESSION: pytest.StashKey[Session] = pytest.StashKey()
REMEDY = "--crosscorrect-python PATH"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, all of them about suites."""
    group = parser.getgroup("crosscorrect", "crosscorrect: collect YAML suites")
    repeat = {"action": "append", "default": []}
    group.addoption("--crosscorrect", metavar="NAME", help="run YAML suites through this framework; repeat", **repeat)
    group.addoption("--crosscorrect-python", metavar="NAME=PATH", help="a framework's interpreter; repeat", **repeat)
    target = "NAME=MODULE:CLASS"
    group.addoption(
        "--crosscorrect-adapter", metavar=target, help="an adapter that is no entry point; repeat", **repeat
    )
    group.addoption("--crosscorrect-mode", choices=[*MODES, "all"], default="eager", help="default: eager")
    group.addoption("--crosscorrect-level", choices=["smoke", "ci", "nightly"], default="ci", help="default: ci")
    group.addoption("--crosscorrect-device", default="cpu", metavar="DEVICE", help="default: cpu")
    group.addoption("--crosscorrect-shard", metavar="FOLDER", help="keep the rows in this run folder (replaced)")
    group.addoption("--crosscorrect-part", metavar="I/N", help="only part I of N of each suite, as run --shard I/N")
    group.addoption("--crosscorrect-expectations", metavar="FOLDER", help="expectations of your own")


def pytest_configure(config: pytest.Config) -> None:
    """Check the request before anything is collected."""
    if not config.getoption("--crosscorrect"):
        return
    from crosscorrect.errors import CrosscorrectError, IncompleteError
    from crosscorrect.pytest_items import register
    from crosscorrect.pytest_session import Session

    try:
        session = Session(config)
    except IncompleteError as error:
        pytest.exit(here(str(error)), returncode=error.exit_code)
    except CrosscorrectError as error:
        raise pytest.UsageError(here(str(error))) from None
    register(config, session)
    config.stash[SESSION] = session


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A YAML file that says ``suite:`` is collected."""
    if SESSION not in parent.config.stash:
        return None
    from crosscorrect.pytest_items import SuiteFile
    from crosscorrect.pytest_session import is_suite

    return SuiteFile.from_parent(parent, path=file_path) if is_suite(file_path) else None


@pytest.hookimpl(optionalhook=True)  # a hook of xdist's, which may not be installed
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker which folder its rows go to."""
    session = node.config.stash.get(SESSION, None)
    if session is not None:
        node.workerinput["crosscorrect_shard"] = str(session.shard or "")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the frameworks; in the process that began the session, finish the run folder."""
    own = session.config.stash.get(SESSION, None)
    if own is not None:
        own.finish(session)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say where the rows are."""
    session = config.stash.get(SESSION, None)
    if session is not None and session.shard is not None:
        terminalreporter.write_line(f"crosscorrect: the rows of this run are in {session.shard}")


def here(message: str) -> str:
    """A message of the harness with this plugin's option where it names the command line's."""
    return re.sub(r"(?<!\S)--python (?:\S+=)?PATH", REMEDY, message)
