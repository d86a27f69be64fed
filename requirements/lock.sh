#!/usr/bin/env bash
# Resolves the three lock files. They hold versions and hashes, and name no index.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { .venv/bin/uv pip compile "$@" --generate-hashes --no-emit-index-url --no-header --no-annotate --universal --python-version 3.11 -q; }
echo "uv" | compile - -o requirements/bootstrap.lock
echo "setuptools" >requirements/.build.in
# dagster takes any websockets; openai-agents, with which the examples of docs/connect are tested, none from 17 on
echo "websockets<17" >requirements/.bounds.in
compile pyproject.toml requirements/.build.in -c requirements/.bounds.in --extra postgres -o requirements/runtime.lock
compile pyproject.toml requirements/.build.in --extra postgres --group dev --group connect -c requirements/runtime.lock -o requirements/dev.lock
rm requirements/.build.in requirements/.bounds.in
