# Two thin commands: both make .venv with tox in it and leave the work to tox.ini.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
TOX := .venv/bin/tox
FRAMEWORKS := mxnet,torch,tensorflow,jax
# two environments at a time: installing is mostly waiting, importing is mostly one core
JOBS ?= 2

.PHONY: compare test clean

compare: $(TOX)  ## every framework through every suite, judged, with a report
	rm -rf results/shards  # a shard of an earlier day must not stand in for one that failed today
	-$(TOX) run-parallel --parallel $(JOBS) --parallel-no-spinner -e $(FRAMEWORKS) -- cases
	$(TOX) run -e report
	@echo "open results/latest/report.html"

test: $(TOX)  ## lint, types, site, mutants, every framework's tests, then the unit tests, whose summary ends it
	$(TOX) run-parallel --parallel $(JOBS) --parallel-no-spinner -e lint,types,docs,selftest,$(FRAMEWORKS)
	$(TOX) run -qq -e unit

$(TOX):
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check "tox>=4.22"

clean:
	rm -rf .venv .tox build results
