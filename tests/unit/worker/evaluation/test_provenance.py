"""Which code computed a figure."""

import re
import subprocess
from pathlib import Path

from diffrun_worker.evaluation.provenance import code_version, commit_of, source_digest


def git(folder: Path, *command: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", *identity, "-C", str(folder), *command], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_version_names_the_release_and_the_code() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\+(g[0-9a-f]{12}(\.dirty)?|src\.[0-9a-f]{12})", code_version())


def test_a_checkout_names_its_commit_and_whether_it_was_changed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    package = tmp_path / "package"
    package.mkdir()
    (package / "code.py").write_text("x = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert commit_of(package) == f"g{commit}"
    (package / "code.py").write_text("x = 2\n")
    assert commit_of(package) == f"g{commit}.dirty"


def test_a_package_installed_below_somebodys_repository_is_not_a_part_of_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "first", "--allow-empty")
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "code.py").write_text("x = 1\n")
    assert commit_of(tmp_path / "site-packages") is None


def test_without_a_repository_the_sources_stand_for_the_code(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    assert source_digest() == source_digest()
    assert re.fullmatch(r"[0-9a-f]{12}", source_digest())
