"""Memory that the network frees stays with the process, for its next layer to use.

glibc gives large blocks back to the kernel as soon as they are free, and every page that comes again is a page fault
and a page of zeros. A forward pass on a CPU frees and takes the same blocks over and over: on the UNet of ddpm-cat-256
a fifth of its time was spent on half a million page faults (`benchmarks/sampling.py`, variant "given back").
"""

import ctypes
import os
import platform

# <malloc.h>; each is an int.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_KEPT = 2**31 - 1
_HEAP_BLOCK = 2**30
"""Larger blocks come from the kernel and go back to it."""
_MOST_AT_FIRST = 32 * 2**20
"""What `malloc` lets its own thresholds grow to, and the most that an older glibc takes as a block's limit."""

_ENVIRONMENT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Keeps what is freed from now on; the process holds its peak until it ends. True where that was done.

    It is not where there is no glibc, nor where the environment sets the thresholds: they are left to rule.
    """
    if not _is_glibc() or any(name in os.environ for name in _ENVIRONMENT):
        return False
    return _limit_block(_HEAP_BLOCK) and _set(_M_TRIM_THRESHOLD, _KEPT)


def give_freed_memory_back() -> None:
    """As glibc does where nobody asks: what `keep_freed_memory` is compared with."""
    if _is_glibc():
        _limit_block(_MOST_AT_FIRST)
        _set(_M_TRIM_THRESHOLD, 2 * _MOST_AT_FIRST)


def _is_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"


def _limit_block(size: int) -> bool:
    return _set(_M_MMAP_THRESHOLD, size) or _set(_M_MMAP_THRESHOLD, _MOST_AT_FIRST)


def _set(option: int, value: int) -> bool:
    return bool(ctypes.CDLL(None).mallopt(option, value))
