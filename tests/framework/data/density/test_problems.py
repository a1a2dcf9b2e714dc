"""Tables are split and scaled without leak."""

import numpy as np
import pandas as pd
import pytest
import torch

from components.supports import Interval
from framework.data.density.module import DensityData
from framework.data.density.problems import Table


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": rng.normal(5, 3, 200), "b": np.arange(200), "c": 7, "y": rng.normal(0, 10, 200)}
    )
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    return path, frame


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_are_standardized_by_their_training_rows(table, suffix):
    path, frame = table
    path = path.with_suffix(suffix)
    if suffix == ".parquet":
        frame.to_parquet(path)
    data = DensityData(Table(str(path), "y", val=0.2, test=0.3))
    parts = {split: data.dataset(split) for split in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [100, 40, 60]
    batches = {name: part.__getitems__(list(range(len(part)))) for name, part in parts.items()}
    train = batches["train"].features
    torch.testing.assert_close(train[:, :2].mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(train[:, :2].std(0, correction=0), torch.ones(2))
    assert (train[:, 2] == 0).all()
    targets = torch.cat([batch.target[:, 0] for batch in batches.values()])
    np.testing.assert_allclose(np.sort(targets), np.sort(frame["y"]), rtol=1e-6)
    support = data.spec.support
    assert (support.low, support.high) == (
        batches["train"].target.min(),
        batches["train"].target.max(),
    )
    assert data.truth(batches["train"]) is None


def test_rows_keep_their_features(table):
    """Column b numbers the rows, so every outcome can be found again by its feature."""
    path, frame = table
    data = DensityData(Table(str(path), "y", ["b"], seed=4, low=-50, high=50))
    train = data.dataset("train").__getitems__(list(range(160)))
    rank = train.features[:, 0].argsort().argsort()
    lookup = {np.float32(y): b for b, y in zip(frame["b"], frame["y"], strict=True)}
    rows = torch.tensor([lookup[np.float32(y)] for y in train.target[:, 0].tolist()])
    assert torch.equal(rows.argsort().argsort(), rank)
    assert data.spec.support == Interval(-50, 50)
    assert data.spec.features == 1


def test_missing_values_are_refused_or_dropped(table):
    path, frame = table
    frame.loc[[3, 8], ["y", "a"]] = np.nan
    frame.loc[20, "y"] = np.inf
    frame.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"column 'y' in row 4 is nan; correct it or set drop"):
        DensityData(Table(str(path), "y")).spec  # noqa: B018
    source = DensityData(Table(str(path), "y", drop_missing=True))
    assert sum(len(source.dataset(split)) for split in ("train", "val", "test")) == 197


def test_the_index_that_pandas_writes_is_no_feature(table):
    path, frame = table
    frame.to_csv(path)
    with pytest.warns(UserWarning, match="column 'Unnamed: 0' has no name"):
        assert DensityData(Table(str(path), "y")).spec.features == 3


def test_tables_that_do_not_fit(table, tmp_path):
    path, frame = table
    frame.assign(word="x").to_csv(tmp_path / "words.csv", index=False)
    (tmp_path / "table.txt").write_text("a,y\n1,2\n")
    frame.head(3).to_csv(tmp_path / "short.csv", index=False)
    frame.assign(y=2e9 + frame.b).to_csv(tmp_path / "high.csv", index=False)
    frame.assign(a=frame.a.where(frame.b != 4, 1e39)).to_csv(tmp_path / "large.csv", index=False)
    for name, target, features, message in [
        ("gone.csv", "y", None, r"Table: path='.*gone.csv' is not a file"),
        ("table.txt", "y", None, "table.txt' is none of .csv, .parquet"),
        ("table.csv", "z", None, r"has no column 'z'; it has a, b, c, y"),
        ("table.csv", "y", ["a", "q"], "has no column 'q'"),
        ("words.csv", "y", None, "column 'word' in row 1 is 'x', which is not a number"),
        ("high.csv", "y", None, r"'y' of .* varies by too little around 2e\+09 for float32; sub"),
        ("large.csv", "y", None, r"'a' in row 5 is 1e\+39, larger than float32 holds"),
        ("short.csv", "y", None, "3 rows of .* leave a split empty"),
    ]:
        with pytest.raises(ValueError, match=message):
            DensityData(Table(str(tmp_path / name), target, features)).spec  # noqa: B018
    with pytest.raises(ValueError, match=r"val=0.6 and test=0.4"):
        Table(str(path), "y", val=0.6, test=0.4)


def ids(dataset):
    return [dataset.identify(k)["id"] for k in range(len(dataset))]


def test_rows_are_called_by_their_numbers_in_the_file(table):
    path, frame = table
    frame.loc[3, "a"] = np.nan
    frame.to_csv(path, index=False)
    data = DensityData(Table(str(path), "y", drop_missing=True))
    splits = {split: data.dataset(split) for split in ("train", "val", "test", "predict")}
    numbers = {split: np.array(ids(dataset)) for split, dataset in splits.items()}
    every = np.concatenate([numbers[split] for split in ("train", "val", "test")])
    assert sorted(every) == [k for k in range(1, 201) if k != 4]
    assert list(numbers["predict"]) == list(numbers["test"])
    for split, dataset in splits.items():
        outcome = frame["y"].to_numpy()[numbers[split] - 1]
        np.testing.assert_array_equal(dataset.batch.target[:, 0], outcome.astype("float32"))


def test_a_column_of_names_is_no_feature(table):
    path, frame = table
    frame.insert(1, "house", [f"{k:03d}" for k in range(200)])
    frame.to_csv(path, index=False)
    data = DensityData(Table(str(path), "y", id="house"))
    assert data.spec.features == 3
    test = data.dataset("test")
    rows = [int(name) for name in ids(test)]
    assert ids(test) == list(frame["house"][rows])
    outcome = frame["y"].to_numpy()[rows]
    np.testing.assert_array_equal(test.batch.target[:, 0], outcome.astype("float32"))


@pytest.fixture
def unseen(table, tmp_path):
    """Rows of another file, two without an outcome, and a function that serves them."""
    frame = table[1].head(6).assign(y=[1.0, np.nan, 2.0, 3.0, np.nan, 4.0])

    def serve(rows, **options):
        rows.to_csv(tmp_path / "new.csv", index=False)
        source = Table(str(table[0]), "y", predict=str(tmp_path / "new.csv"), **options)
        return DensityData(source)

    return frame, serve


def test_rows_of_another_file_are_predicted_in_their_order(table, unseen):
    frame, serve = unseen
    data = serve(frame[["y", "c", "b", "a"]])  # in another order of columns
    scales = data.source.scales()
    found = data.dataset("predict")
    assert ids(found) == [1, 2, 3, 4, 5, 6]
    expected = (frame[["a", "b", "c"]] - scales["mean"]) / scales["std"]
    np.testing.assert_allclose(found.batch.features, expected, rtol=1e-6)
    np.testing.assert_array_equal(found.batch.target[:, 0], frame["y"])
    assert len(data.dataset("test")) == 20
    without = serve(frame.drop(columns="y")).dataset("predict")
    assert without.batch.target.isnan().all()
    assert torch.equal(without.batch.features, found.batch.features)


def test_what_is_predicted_by_a_checkpoint_needs_no_file_of_training(table, unseen):
    frame, serve = unseen
    trained = DensityData(Table(str(table[0]), "y"))
    checkpoint = {"hyper_parameters": {"spec": trained.spec}}
    trained.store(checkpoint)
    expected = serve(frame).dataset("predict").batch.features
    table[0].unlink()
    data = serve(frame)
    data.restore(checkpoint)
    assert data.spec == trained.spec
    assert torch.equal(data.dataset("predict").batch.features, expected)
    with pytest.raises(ValueError, match="are c, a, those of the model a, b, c; name the same"):
        serve(frame, features=["c", "a"]).restore(checkpoint)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (lambda f: f.drop(columns="b"), {}, r"new.csv' has no column 'b'; it has a, c, y"),
        (lambda f: f.assign(a=np.nan), {}, r"new.csv': column 'a' in row 1 is nan; correct it or"),
        (lambda f: f.head(0), {}, r"new.csv' has no row to predict; give at least one"),
        (lambda f: f.assign(a=np.nan), {"drop_missing": True}, "has no row to predict"),
        (lambda f: f, {"id": "house"}, "has no column 'house'"),
    ],
)
def test_rows_that_cannot_be_predicted(unseen, rows, options, message):
    frame, serve = unseen
    with pytest.raises(ValueError, match=message):
        serve(rows(frame), **options).dataset("predict")


def test_a_file_to_predict_that_is_missing(table):
    with pytest.raises(ValueError, match=r"Table: predict='gone.csv' is not a file"):
        DensityData(Table(str(table[0]), "y", predict="gone.csv")).dataset("predict")
