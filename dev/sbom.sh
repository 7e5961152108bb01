#!/bin/sh
# Write build/sbom.cdx.json: the wheel in dist/ and all that pip installs with it, in a CycloneDX bill of materials.
# Called by make with the folder of .venv's programs. The environment that is listed is made for it, and removed.
set -eu

cd "$(dirname "$0")/.."
BIN=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$BIN/python" -m venv --without-pip "$work/venv" # so that pip is not among what is listed
"$BIN/python" -m pip --disable-pip-version-check --python "$work/venv/bin/python" install -qq \
    --constraint constraints.txt dist/*.whl
version=$("$work/venv/bin/python" -c 'from importlib.metadata import version; print(version("airflow-imiconnect"))')
sed "s/^dynamic = .*/version = \"$version\"/" pyproject.toml >"$work/pyproject.toml"
mkdir -p build
"$BIN/cyclonedx-py" environment --pyproject "$work/pyproject.toml" --mc-type library --output-reproducible \
    --output-format JSON --output-file build/sbom.cdx.json "$work/venv/bin/python"
echo "build/sbom.cdx.json: $(grep -c '"purl"' build/sbom.cdx.json) components"
