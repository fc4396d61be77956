"""Names of files and folders: they sort, they agree between shards, and no file system chokes on them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrun_worker.errors import PermanentError
from diffrun_worker.inference import output
from diffrun_worker.inference.output import Names, claim_folder, folder_name, metrics_name, part_name


def test_names_are_those_of_the_documented_tree() -> None:
    names = Names(samples=100, steps=50)

    assert names.video(0) == "videos/v000.mp4"
    assert names.frame(0, 0) == "frames/v000_f0000.png"
    assert names.delta(0, 1) == "deltas/v000_d0001.npy"
    assert names.latent(0, 999) == "latents/v000_t0999.npy"
    assert part_name(3, 10) == "parts/0003.json"
    assert metrics_name(3, 10, "steps.csv") == "metrics/0003_steps.csv"


@pytest.mark.parametrize(
    ("samples", "first", "last"),
    [(1000, "v000", "v999"), (1001, "v0000", "v1000"), (10_000, "v0000", "v9999"), (1_000_000, "v000000", "v999999")],
)
def test_numbers_widen_with_the_run_and_not_with_the_sample(samples: int, first: str, last: str) -> None:
    names = Names(samples, steps=50)

    assert names.sample(0) == first
    assert names.sample(samples - 1) == last


@given(st.integers(1, 20_000), st.data())
def test_names_sort_as_their_numbers_do(samples: int, data: st.DataObject) -> None:
    names = Names(samples, steps=20_000, train_timesteps=20_000)
    places = st.tuples(st.integers(0, samples - 1), st.integers(0, 19_999))
    first, second = data.draw(places), data.draw(places)

    for name in (names.frame, names.delta, names.latent):
        assert (name(*first) < name(*second)) == (first < second)
    assert (names.video(first[0]) < names.video(second[0])) == (first[0] < second[0])


@pytest.mark.parametrize(
    ("character", "folder"),
    [
        ("A", "A"),
        ("k", "k"),
        ("7", "7"),
        ("class_1-b", "class_1-b"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("/", "%2F"),
        ("a/../b", "a%2F%2E%2E%2Fb"),
        ("%2F", "%252F"),
        ("ä", "%C3%A4"),
        (" ", "%20"),
        ("*", "%2A"),
        ("CON", "%43ON"),
        ("lpt1", "%6Cpt1"),
    ],
)
def test_a_class_gets_a_folder_that_any_file_system_takes(character: str, folder: str) -> None:
    assert folder_name(character) == folder


@given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64))
def test_two_classes_never_share_a_folder(first: str, second: str) -> None:
    for character in (first, second):
        assert len(folder_name(character).encode()) <= 120
        assert not set(folder_name(character)) & set('/\\:*?"<>|. \0')
    assert (folder_name(first) == folder_name(second)) == (first == second)


def test_upper_and_lower_case_have_folders_of_their_own(tmp_path: Path) -> None:
    assert claim_folder(tmp_path, "K") != claim_folder(tmp_path, "k")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["K", "k"]
    assert claim_folder(tmp_path, "K").name == "K"


def test_a_file_system_that_folds_case_is_told_apart_and_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_folder(tmp_path, "K")
    # Such a file system finds K where k is asked for, so that mkdir makes nothing.
    monkeypatch.setattr(output.Path, "mkdir", lambda *_, **__: None)

    with pytest.raises(PermanentError, match=r"output-dir.*K/.*k/"):
        claim_folder(tmp_path, "k")
