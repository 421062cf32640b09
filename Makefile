# Each target is one or two commands; set up .venv first, as the README says.
BIN ?= .venv/bin
LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header $(ARGS)

.PHONY: check test cover docs pictures bench soak lock

check:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy

test:
	$(BIN)/python -m pytest -n 2

cover:
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

docs:
	$(BIN)/python -m pytest tests/docs

pictures:
	$(BIN)/python tests/pictures.py

bench:
	$(BIN)/python bench/run.py

soak:
	$(BIN)/python tests/soak/run.py

lock:
	$(LOCK) --extra all --output-file requirements.lock
	$(LOCK) --all-extras --output-file requirements-test.lock
