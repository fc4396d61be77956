"""What is freed stays with the process: seen by the pages that a process has to ask for again."""

import os
import platform
import subprocess
import sys

import pytest

MEASURE = """
import ctypes, resource, sys
from diffrun_worker.sampling import heap

SIZE = 48 * 2**20
libc = ctypes.CDLL(None)

def block():
    taken = ctypes.c_void_p()
    assert libc.posix_memalign(ctypes.byref(taken), ctypes.c_size_t(64), ctypes.c_size_t(SIZE)) == 0  # as torch does
    ctypes.memset(taken, 1, SIZE)
    libc.free(taken)

def faults():
    for _ in range(30):  # until every hole between smaller blocks is as large as the block
        block()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

said = getattr(heap, sys.argv[1])()
print(said, faults())
"""
PAGES = 48 * 2**20 // os.sysconf("SC_PAGE_SIZE")

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")


def measured(function: str, **environment: str) -> tuple[str, float]:
    """What the function returns, and the part of a block's pages that are asked for anew after it."""
    # Without huge pages, of which one fault brings five hundred.
    set_by = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=0", **environment}
    command = [sys.executable, "-c", MEASURE, function]
    told = subprocess.run(command, env=set_by, check=True, capture_output=True, text=True).stdout.split()
    return told[0], int(told[1]) / PAGES


def test_a_block_that_is_freed_and_taken_again_costs_no_page_fault() -> None:
    said, anew = measured("keep_freed_memory")

    assert said == "True"
    assert anew < 0.1


def test_given_back_it_costs_one_a_page() -> None:
    assert measured("give_freed_memory_back")[1] > 0.9


def test_thresholds_that_the_environment_sets_are_left_to_rule() -> None:
    said, anew = measured("keep_freed_memory", MALLOC_TRIM_THRESHOLD_="131072", MALLOC_MMAP_THRESHOLD_="131072")

    assert said == "False"
    assert anew > 0.9
