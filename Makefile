# Everything starts with .ci/bootstrap, which costs nothing once this machine has what is needed.
PYTHON := .venv/bin/python
# mypy's Django plugin and the checks read the settings; nothing connects to this database.
CHECK_ENV := FREEHOLD_DEBUG=true DATABASE_URL=postgresql://nobody@localhost/none

.PHONY: up test test-cluster check bench screenshots lock bootstrap

up:
	@.ci/bootstrap server
	@exec $(PYTHON) manage.py up $(ARGS)

# All of it, on this machine and then on a Kubernetes; with ARGS only what pytest makes of them.
test:
	@.ci/bootstrap dev browser
	@if [ -n "$(ARGS)" ]; then exec $(PYTHON) -m pytest $(ARGS); fi; \
	  code=0; $(PYTHON) -m tests.suite || code=1; $(PYTHON) -m tests.cluster --if-possible || code=1; exit $$code

# On the cluster that KUBECONFIG names, else on one of this machine's own, built once and started for the occasion.
test-cluster:
	@.ci/bootstrap dev
	@exec $(PYTHON) -m tests.cluster $(ARGS)

check:
	@.ci/bootstrap dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(CHECK_ENV) .venv/bin/mypy
	.venv/bin/lint-imports
	$(CHECK_ENV) $(PYTHON) manage.py makemigrations --check --dry-run --skip-checks
	$(PYTHON) -m tests.upkeep

bench:
	@.ci/bootstrap dev browser bench
	@exec $(PYTHON) -m tests.bench $(ARGS)

# The pictures in docs/, taken on the way through the main job, and over a provider of some weeks.
screenshots:
	@.ci/bootstrap dev browser
	@FREEHOLD_SCREENSHOTS=docs/screenshots exec $(PYTHON) -m pytest -q tests/journey/test_browser.py \
	  tests/pages/test_operator_in_chromium.py -k "three_apps or every_page_of_the_desk"

lock:
	@.ci/bootstrap dev
	.venv/bin/uv pip compile -q --universal --no-header --no-annotate --generate-hashes --extra server \
	  -o requirements/server.lock pyproject.toml
	.venv/bin/uv pip compile -q --universal --no-header --no-annotate --generate-hashes --extra server --extra dev \
	  -c requirements/server.lock -o requirements/dev.lock pyproject.toml

bootstrap:
	@.ci/bootstrap server
