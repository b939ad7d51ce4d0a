#!/bin/sh
# Finds a Python that can run scripts/set_up.py, and hands over to it: one of 3.12 to 3.14,
# which the environment is made with, or else any from 3.9 on, with which uv looks for a 3.12.
cd "$(dirname "$0")/.." || exit 1

check='import sys
print("is " + ".".join(map(str, sys.version_info[:3])))
lowest, below = ((3, int(minor)) for minor in sys.argv[1:])
if sys.version_info[:2] < lowest: sys.exit(3)
if sys.version_info[:2] >= below: sys.exit(3)
try: import ensurepip, venv
except ImportError: sys.exit(4)'
pyenv=${PYENV_ROOT:-${HOME:-}/.pyenv}/versions
reason=

try() { # PYTHON LOWEST BELOW: hands over when PYTHON works and its minor version fits.
    command -v "$1" >/dev/null 2>&1 || return 0
    said=$("$1" -c "$check" "$2" "$3" 2>/dev/null)
    case $? in
        0) exec "$1" scripts/set_up.py ;;
        3) reason=${reason:-"$1 $said, which is too old"} ;;
        4) reason="$1 $said and lacks the modules venv and ensurepip" ;;
    esac
}

for python in python3.12 python3 python3.13 python3.14 "$pyenv"/3.1[234]*/bin/python3; do
    try "$python" 12 15
done
reason=
for python in python3 python3.11 python3.10 python3.9 /usr/bin/python3 /usr/local/bin/python3; do
    try "$python" 9 100
done

case $reason in
    *lacks*) cure="Install them (Debian, Ubuntu: apt install python3-venv)" ;;
    *) cure="Install one (pyenv install 3.12, uv python install 3.12 or a system package)" ;;
esac
echo "Set-up: no usable Python: ${reason:-no python3 works here}. $cure, then call make again." >&2
exit 1
