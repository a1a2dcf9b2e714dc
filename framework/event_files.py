"""What a run logged to TensorBoard: scalars, the last pictures and texts, read without TensorFlow.

TensorBoard's own reader ends silently where a file is damaged; this one says so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

PATTERN = "*tfevents*"
HEADER, FOOTER = struct.Struct("<QI"), struct.Struct("<I")  # length and checksum; checksum

Series = dict[int, float]
"""Values by step, in order; of a step that was logged twice, as after resuming, the last."""


class LoggedPicture(NamedTuple):
    """A picture of a step, as bytes of a PNG file."""

    step: int
    png: bytes


class Events(NamedTuple):
    """What was logged, by name; of pictures and texts the last ones."""

    scalars: Mapping[str, Series]
    pictures: Mapping[str, LoggedPicture]
    texts: Mapping[str, str]


class _Record(NamedTuple):
    path: Path
    payload: bytes
    checksum: int

    def check(self) -> None:
        """Compares the checksum, at two megabytes in a second."""
        if masked_crc32c(self.payload) != self.checksum:
            raise _damaged(self.path)


def read_events(folder: Path) -> Events:
    """Reads the event files of a folder; a record that is still being written does not count.

    Raises:
        ValueError: If a file is damaged.
    """
    scalars: dict[str, Series] = {}
    pictures: dict[str, tuple[_Record, LoggedPicture]] = {}
    texts: dict[str, str] = {}
    for path in sorted(folder.glob(PATTERN)):
        for record in _records(path):
            event = _parsed(record)
            if not any(value.HasField("image") for value in event.summary.value):
                record.check()
            for value in event.summary.value:
                if value.HasField("image"):  # large, and all but the last are not wanted
                    png = LoggedPicture(event.step, value.image.encoded_image_string)
                    pictures[value.tag] = record, png
                elif value.HasField("simple_value"):
                    scalars.setdefault(value.tag, {})[event.step] = value.simple_value
                elif value.metadata.plugin_data.plugin_name == "text":
                    texts[value.tag] = _text(value.tensor.string_val)
    for record, _ in pictures.values():
        record.check()
    return Events(
        {name: dict(sorted(series.items())) for name, series in scalars.items()},
        {name: picture for name, (_, picture) in pictures.items()},
        texts,
    )


def _records(path: Path) -> Iterator[_Record]:
    """Yields the complete records of a file: length, checksum of it, payload, checksum of it."""
    with path.open("rb") as file:
        while len(header := file.read(HEADER.size)) == HEADER.size:
            length, checksum = HEADER.unpack(header)
            if masked_crc32c(header[:8]) != checksum:
                raise _damaged(path)
            payload, footer = file.read(length), file.read(FOOTER.size)
            if len(footer) < FOOTER.size:
                return
            yield _Record(path, payload, *FOOTER.unpack(footer))


def _parsed(record: _Record) -> Any:
    try:
        return Event.FromString(record.payload)
    except DecodeError as error:
        raise _damaged(record.path) from error


def _text(parts: Any) -> str:
    return "\n".join(part.decode("utf-8", "replace") for part in parts)


def _damaged(path: Path) -> ValueError:
    return ValueError(
        f"{path} is damaged: a checksum in it is wrong; restore it, or move it out of the folder."
    )
