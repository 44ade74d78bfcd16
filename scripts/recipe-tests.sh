#!/usr/bin/env bash
# Runs the Python recipes of docs/scan.md over Parquet that `scan` wrote, and
# compares every cell with the JSON. Installs the packages of
# tests/recipes/requirements.txt into a virtual environment in the target
# folder. Where that cannot be done it says why and passes, unless CI=true.
# Works from any folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests="recipe tests"
. scripts/skip.sh

command -v python3 >/dev/null || skip "there is no python3"
place=${CARGO_TARGET_DIR:-$PWD/target}/recipes-python
python3 -m venv "$place" || skip "python3 -m venv failed"
"$place/bin/pip" install --quiet --disable-pip-version-check -r tests/recipes/requirements.txt ||
    skip "pip could not install the packages of tests/recipes/requirements.txt"

export DUMPMAP_PYTHON=$place/bin/python3
exec cargo test --all-features --test scan_recipes
