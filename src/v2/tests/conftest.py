"""Settings that hold for every test."""

import os

# Read by OpenMP when it is first loaded; waiting threads that spin slow parallel tests down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
