#!/bin/sh
# Renew constraints.txt: names, versions and markers of everything in .venv, for Python 3.10-3.13 in one file.
set -eu

cd "$(dirname "$0")/.."
UV=${UV:-uv}
if ! command -v "$UV" >/dev/null 2>&1; then
    echo "error: make constraints needs uv, which is not on the PATH." >&2
    echo "       Install it (python3 -m pip install uv) or point to it: make constraints UV=/path/to/uv" >&2
    echo "       Nothing else needs uv: .venv is built with pip." >&2
    exit 1
fi

# pip, build and hatchling are not in pyproject.toml: they build .venv and the wheel.
printf 'pip>=25.1\nbuild\nhatchling\n' |
    "$UV" pip compile --quiet --universal --python-version 3.10 --all-extras \
        --group dev --group matrix --group mutants --group release \
        --upgrade --no-annotate --no-header --output-file constraints.new pyproject.toml -
mv constraints.new constraints.txt
echo "constraints.txt: $(grep -c '==' constraints.txt) pins. Review the change (git diff constraints.txt), then run make lint test."
