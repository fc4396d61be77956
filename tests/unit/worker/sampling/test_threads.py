from pathlib import Path

import pytest

from diffrun_worker.sampling import threads


@pytest.mark.parametrize(
    ("content", "cores"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("6400000 100000", 8)],
)
def test_a_cpu_limit_bounds_the_threads(
    content: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "cpu.max").write_text(content + "\n")
    assert threads.available_cores(tmp_path) == cores


def test_the_older_cgroup_layout_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("50000\n")
    assert threads.quota(tmp_path) == 2


def test_without_a_cgroup_there_is_no_limit(tmp_path: Path) -> None:
    assert threads.quota(tmp_path) is None


@pytest.mark.parametrize(("variable", "threads_used"), [(None, 1), ("6", 4)])
def test_omp_num_threads_rules_where_it_is_set(
    variable: str | None, threads_used: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    now = [4]
    monkeypatch.setattr(threads.torch, "get_num_threads", lambda: now[0])
    monkeypatch.setattr(threads.torch, "set_num_threads", lambda count: now.__setitem__(0, count))
    if variable is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert threads.limit_threads(tmp_path) == threads_used
