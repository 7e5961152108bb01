#!/bin/sh
# Create or renew .venv: Airflow, this package (editable) and the development tools, in the versions of constraints.txt.
# Installs nothing if .venv is up to date. Called by make; PYTHON=... chooses the Python.
# With --find-python it only prints the Python that it would use, or explains why none is suitable.
set -eu

cd "$(dirname "$0")/.."
VENV=.venv
STAMP=$VENV/.installed
SUPPORTED="Python 3.10, 3.11, 3.12 or 3.13"

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$1" >&2; shift; for line in "$@"; do printf '       %s\n' "$line" >&2; done; exit 1; }

ask_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }
version_of() { ask_version "$1" 2>/dev/null; }
is_supported() { case "$1" in 3.10 | 3.11 | 3.12 | 3.13) true ;; *) false ;; esac; }
can_make_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

explain_missing_venv() {
    die "$1 (Python $2) cannot create a virtual environment: its modules venv and ensurepip are missing." \
        "Debian and Ubuntu: apt-get install python$2-venv" \
        "Elsewhere: install a Python that has them, or choose another one: make PYTHON=/path/to/python3.12"
}

# Sets PYTHON to the first suitable Python, or reports what is wrong.
choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        version=$(ask_version "$PYTHON") || die "PYTHON=$PYTHON does not run." "Choose one of $SUPPORTED."
        is_supported "$version" || die "PYTHON=$PYTHON is Python $version; this project needs $SUPPORTED."
        can_make_venv "$PYTHON" || explain_missing_venv "$PYTHON" "$version"
        return
    fi
    found="" without_venv=""
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        version=$(version_of "$candidate") || continue
        found="$found $candidate is $version;"
        is_supported "$version" || continue
        if can_make_venv "$candidate"; then PYTHON=$candidate; return; fi
        without_venv=${without_venv:-"$candidate $version"}
    done
    # shellcheck disable=SC2086  # two words, a name and a version
    [ -z "$without_venv" ] || explain_missing_venv $without_venv
    die "this project needs $SUPPORTED, but none was found." "On the PATH:${found:- no python3 at all}" \
        "Install one, or point to one: make PYTHON=/path/to/python3.12"
}

# What .venv was built from: if the folder or the requirements change, it is out of date.
fingerprint() {
    pwd -P
    cksum pyproject.toml constraints.txt airflow_imiconnect/__init__.py dev/venv.sh
}
# After a copied or moved folder, a removed Python or an interrupted installation, nothing in .venv can be trusted.
is_whole() { [ -f "$STAMP" ] && [ "$(head -n 1 "$STAMP")" = "$(pwd -P)" ] && [ -n "$(version_of "$VENV/bin/python")" ]; }
is_chosen_python() { [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of "$VENV/bin/python")" ]; }

pip() { "$VENV/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }

if [ "${1:-}" = --find-python ]; then choose_python; say "$PYTHON"; exit; fi
wanted=$(fingerprint)
if is_whole && is_chosen_python; then
    [ "$(cat "$STAMP")" != "$wanted" ] || exit 0
    say "Renewing .venv: pyproject.toml or constraints.txt has changed ..."
else
    choose_python
    say "Creating .venv with $PYTHON (Python $(version_of "$PYTHON")): Airflow, this package and its tools."
    say "The first time takes a minute or two, longer on a slow network ..."
    "$PYTHON" -m venv --clear "$VENV"
fi
started=$(date +%s)
rm -f "$STAMP"
pip install -qq --constraint constraints.txt --upgrade pip  # dependency groups need pip 25.1
pip install -qq --constraint constraints.txt --editable . --group dev ||
    die "the installation failed; see pip's output above." "Fix the cause and run the same command again."
say "$wanted" >"$STAMP"
say "Ready after $(($(date +%s) - started)) s."
