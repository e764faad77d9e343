#!/bin/sh
# Sets up the virtual environment: deploy/install.sh VENV LOCK
# Everything comes from LOCK, checked by hash; the project itself is installed editable, built with
# the locked setuptools and Cython. Where a C compiler and Python's headers are, the workers' fold is
# compiled; where not, it runs as the Python it is written in, several times slower and equal in every
# number (IOC_PURE=1 asks for that). Does nothing when VENV already holds exactly that.
set -eu

venv=$1
lock=$2

say() { printf '%s\n' "$*" >&2; }

suits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
        >/dev/null 2>&1
}

find_python() {
    # With PYTHON given, that one or none.
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if suits "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    say "Needed: Python 3.11, 3.12 or 3.13 with its venv module; found: $("${PYTHON:-python3}" --version 2>&1 || :)"
    say "  Debian, Ubuntu:  apt-get install python3 python3-venv"
    say "  elsewhere:       install one of them and run: make install PYTHON=/path/to/python3.12"
    exit 1
}

# The lock decides the packages; pyproject.toml the console script and the metadata; the C parts what
# was compiled. The place belongs to it: an environment that was moved or copied has the old place in
# its scripts.
key_of() {
    printf '%s %s' "$(pwd)" "$(cat "$1" pyproject.toml setup.py deploy/install.sh \
        services/core/_fast.pyx services/core/_fast.h services/core/_*.pxi | cksum)"
}

holds() { [ -x "$venv/bin/ioc" ] && [ "$(cat "$venv/.$1.stamp" 2>/dev/null || :)" = "$(key_of "$1")" ]; }

# The full environment holds the small one.
if holds "$lock" || holds requirements-dev.lock; then
    exit 0
fi

if [ -x "$venv/bin/python" ] && suits "$venv/bin/python"; then
    say "[1/3] $venv is there ($("$venv/bin/python" --version))"
else
    python=$(find_python)
    say "[1/3] creating $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi
rm -f "$venv"/.requirements*.stamp

total=$(grep -c '==' "$lock")
log="$venv/.install.log"
say "[2/3] installing $total packages of $lock, each checked by hash"
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
    --no-deps --require-hashes -r "$lock" >"$log" 2>&1 &
pip=$!
trap 'kill $pip 2>/dev/null || :; exit 130' INT TERM
shown=0
while kill -0 $pip 2>/dev/null; do
    sleep 1
    met=$(grep -c '^Collecting\|^Requirement already' "$log" || :)
    if [ "$met" -ge $((shown + 10)) ]; then
        shown=$met
        say "      $met of $total"
    fi
done
if ! wait $pip; then
    tail -n 20 "$log" >&2
    say "pip could not install $lock; its whole output is in $log"
    exit 1
fi

say "[3/3] installing the project itself, editable"
# What an earlier installation compiled may be of other sources.
rm -f services/core/_fast.*.so services/core/_fast.*.pyd
log="$venv/.build.log"
if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps \
    --no-build-isolation --verbose --editable . >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "pip could not install the project; its whole output is in $log"
    exit 1
fi
say "      the fold runs $("$venv/bin/python" -c 'from services.core import speed; print(speed.describe())')"
key_of "$lock" >"$venv/.$lock.stamp"
say "ready: $venv/bin/ioc --help"
