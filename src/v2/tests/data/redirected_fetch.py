"""The fetch command as a process, talking to a local server: its address, then flags."""

from __future__ import annotations

import sys

from src.v2 import fetch
from src.v2.tests.data.yahoo_server import redirect

if __name__ == "__main__":
    redirect(sys.argv[1])
    sys.exit(fetch.main(sys.argv[2:]))
