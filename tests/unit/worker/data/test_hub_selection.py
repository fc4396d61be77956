"""Which Parquet files of a repository are a dataset's, judged by their names alone."""

import pytest

from diffrun_worker.data.sources.hub_cache import select_parquet, split_of
from diffrun_worker.errors import PermanentError
from diffrun_worker.hub import Commit, RepoFile

SHA = "0123456789abcdef0123456789abcdef01234567"


def select(names: list[str], folder: str | None = None, *, test: bool = False) -> list[str]:
    commit = Commit(SHA, tuple(RepoFile(name, 1, None, None) for name in names))
    return [file.name for file in select_parquet("o/d", commit, folder, test=test)]


def refused(names: list[str], folder: str | None = None, *, test: bool = False) -> tuple[str, str]:
    with pytest.raises(PermanentError) as caught:
        select(names, folder, test=test)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("plain_text/test-00000-of-00001.parquet", "test"),
        ("default/validation/0000.parquet", "validation"),
        ("dev.parquet", "validation"),
        ("my_eval_0.parquet", "test"),
        ("test-data/train.parquet", "train"),
        ("images.parquet", None),
        ("latest.parquet", None),
        ("extra-00000-of-00001.parquet", None),
    ],
)
def test_a_path_names_a_split_by_whole_words_and_the_file_before_its_folders(name: str, split: str | None) -> None:
    assert split_of(name) == split


SPLITS = ["README.md", "data/train-1.parquet", "data/train-0.parquet", "data/test-0.parquet", "data/extra-0.parquet"]


def test_training_reads_the_training_split_in_the_order_of_the_names() -> None:
    assert select(SPLITS) == ["data/train-0.parquet", "data/train-1.parquet"]


def test_the_held_out_part_is_the_test_split_or_else_the_validation_split() -> None:
    assert select([*SPLITS, "data/validation-0.parquet"], test=True) == ["data/test-0.parquet"]
    assert select(["train.parquet", "valid.parquet"], test=True) == ["valid.parquet"]


def test_files_that_name_no_split_are_all_for_training() -> None:
    assert select(["b.parquet", "a.parquet"]) == ["a.parquet", "b.parquet"]


def test_folders_of_splits_are_no_subsets() -> None:
    assert select(["d/train/0.parquet", "d/test/0.parquet"]) == ["d/train/0.parquet"]


def test_a_subset_is_chosen_by_its_folder() -> None:
    names = ["balanced/train/0.parquet", "letters/train/0.parquet", "letters/test/0.parquet"]
    assert select(names, "letters") == ["letters/train/0.parquet"]
    assert refused(names) == (
        "InvalidParams",
        "data.hub.folder: o/d at 0123456789ab has Parquet files in several folders, balanced, letters; "
        "set it to one of them",
    )
    assert refused(names, "digits") == (
        "InvalidParams",
        "data.hub.folder: o/d at 0123456789ab has no Parquet file in 'digits'; it has some in balanced, letters",
    )


def test_a_repository_without_parquet_is_told_with_what_it_holds() -> None:
    assert refused(["README.md", "images.zip"]) == (
        "DatasetNotFound",
        "data.hub.repo: o/d at 0123456789ab has no Parquet file; it holds README.md, images.zip; use a revision that "
        "was converted, such as refs/convert/parquet, or fetch the images and name their folder as data.imageFolder",
    )


def test_a_split_that_is_not_there_is_told_with_the_files_that_are() -> None:
    assert refused(["data/train-0.parquet"], test=True) == (
        "DatasetNotFound",
        "data.test: o/d at 0123456789ab has no Parquet file of the split test or validation; "
        "it has data/train-0.parquet",
    )
    assert refused(["data/test-0.parquet"])[1].startswith(
        "data.hub.repo: o/d at 0123456789ab has no Parquet file of the split train; "
    )
