"""Holds the numeric libraries of every unit test, and of the processes that it starts, to one thread.

Small networks are slower on many threads, and other tests run beside. Torch reads this when it is imported, which is
after this file.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
