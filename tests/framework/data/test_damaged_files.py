"""Files of data with random damage: they are read, or refused in one sentence of our own."""

import gzip
import io
import re
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import framework
from framework.data.series.tables import LongTable, WideTable
from framework.data.tokens.text_files import JsonLines, TextFiles
from framework.data.tokens.token_files import TokenFiles
from framework.data.trajectories.arrays import NpzEpisodes
from framework.data.trajectories.recordings import TableEpisodes

OURS = str(Path(framework.__file__).parent)
EXAMPLES = 200
SEPARATORS = [b";", b"\t", b"|", b" "]
ENCODINGS = ["utf-16", "utf-32", "latin-1", "utf-8-sig"]
CELLS = [b"", b"x", b"1e39", b"inf", b"NA", b"-1", b'"', b"1,5", b"\xff", b"\x00", b"now", b"0"]
CELLS += [b"2024-13-01", b"True", b"{}", b"[1, 2]", b"9" * 30]


def written(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def contents():
    """Small files without damage, by name."""
    days = pd.date_range("2024-01-01", periods=12).astype(str)
    values = np.arange(24) * 1.5
    long = pd.DataFrame({"id": ["a", "b"] * 12, "time": days.repeat(2), "value": values})
    wide = pd.DataFrame({"time": days, "a": values[:12], "b": values[12:]})
    episode = {"observation": values[:7], "action": [0, 1, 0, 1, 1, 0, 1], "reward": [1.0] * 7}
    steps = pd.DataFrame({"episode": list("xxxxyyy"), **episode})
    tokens = np.arange(40, dtype=np.uint16)
    return {
        "long.csv": long.to_csv(index=False).encode(),
        "long.csv.gz": gzip.compress(long.to_csv(index=False).encode(), mtime=0),
        "long.parquet": written(long.to_parquet),
        "wide.csv": wide.to_csv(index=False).encode(),
        "wide.feather": written(wide.to_feather),
        "steps.csv": steps.to_csv(index=False).encode(),
        "steps.parquet": written(steps.to_parquet),
        "episodes.npz": written(lambda file: np.savez(file, length=[4, 3], **episode)),
        "corpus.txt": "Some é text.\nMore, of it.\n".encode() * 3,
        "corpus.jsonl": "".join(f'{{"text": "é, {k}"}}\n' for k in range(9)).encode(),
        "tokens.npy": written(lambda file: np.save(file, tokens)),
        "tokens.bin": tokens.tobytes(),
    }


FILES = contents()


def read(path):
    """Reads a file as the data of its name."""
    match path.name.split("."):
        case "long", *_:
            LongTable(str(path)).read()
        case "wide", *_:
            WideTable(str(path)).read()
        case "steps", _:
            TableEpisodes(str(path)).read().checked()
        case "episodes", _:
            NpzEpisodes(str(path)).read().checked()
        case "corpus", "txt":
            list(TextFiles(str(path)).documents("train"))
        case "corpus", _:
            validation = path.with_name("validation.jsonl")
            validation.write_bytes(FILES["corpus.jsonl"])
            list(JsonLines(str(path), val=str(validation)).documents("train"))
        case _:
            TokenFiles(str(path), str(path), vocab_size=50).streams(None)


def cut(draw, content):
    return content[: draw(st.integers(0, len(content)))]


def overwrite(draw, content):
    at = draw(st.integers(0, len(content)))
    return content[:at] + draw(st.binary(max_size=4)) + content[at + draw(st.integers(0, 4)) :]


def separate(draw, content):
    return content.replace(b",", draw(st.sampled_from(SEPARATORS)))


def encode(draw, content):
    return content.decode("latin-1").encode(draw(st.sampled_from(ENCODINGS)))


def replace_cell(draw, content):
    rows = [line.split(b",") for line in content.split(b"\n")]
    row = draw(st.sampled_from(rows))
    row[draw(st.integers(0, len(row) - 1))] = draw(st.sampled_from(CELLS))
    return b"\n".join(b",".join(row) for row in rows)


def drop_column(draw, content):
    rows = [line.split(b",") for line in content.split(b"\n")]
    column = draw(st.integers(0, max(map(len, rows)) - 1))
    return b"\n".join(b",".join(row[:column] + row[column + 1 :]) for row in rows)


def shuffle_rows(draw, content):
    return b"\n".join(draw(st.permutations(content.split(b"\n"))))


def repeat_row(draw, content):
    rows = content.split(b"\n")
    at = draw(st.integers(0, len(rows) - 1))
    return b"\n".join([*rows[: at + 1], *rows[at:]])


DAMAGES = [cut, overwrite, separate, encode, replace_cell, drop_column, shuffle_rows, repeat_row]


@st.composite
def damaged(draw):
    """The name of a file and its content after one damage."""
    name = draw(st.sampled_from(sorted(FILES)))
    return name, draw(st.sampled_from(DAMAGES))(draw, FILES[name])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@pytest.mark.parametrize("name", FILES)
def test_files_without_damage_are_read(folder, name):
    (folder / name).write_bytes(FILES[name])
    read(folder / name)


def outcome(path):
    """Whether a file is read or refused; any error that is not a sentence of ours is raised."""
    try:
        read(path)
    except ValueError as error:
        raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
        if raised_in.startswith(OURS) and re.fullmatch(r"[^\n]+\.", str(error)):
            return "refused"
        raise
    return "read"


@pytest.mark.slow
def test_damaged_files_are_read_or_refused_in_one_sentence(folder):
    outcomes = Counter()

    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
    @given(damaged())
    def check(case):
        name, content = case
        (folder / name).write_bytes(content)
        outcomes[outcome(folder / name)] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of columns without a name
        check()
    print(dict(outcomes))
    assert outcomes.total() >= EXAMPLES
    assert outcomes["refused"] > outcomes["read"] > EXAMPLES // 20
