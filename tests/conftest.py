"""One thread per test process, set before torch or LightGBM load: idle threads that spin beside another job cost minutes."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
