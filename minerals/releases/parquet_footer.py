"""Moving a Parquet file's data to another place: the end of the file, rewritten.

The end of a Parquet file (FileMetaData, in Thrift's compact encoding; parquet.thrift) says at which
byte each column's data are. Here every such number is moved by the same distance and all else is
copied as it is, known or not.
"""

from minerals.errors import ReleaseError

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

# Structures on the way to the numbers, and the numbers: (structure, field).
_INNER = {
    ("FileMetaData", 4): "RowGroup",
    ("RowGroup", 1): "ColumnChunk",
    ("ColumnChunk", 3): "ColumnMetaData",
}
_OFFSETS = {
    ("RowGroup", 5),  # file_offset
    ("ColumnChunk", 2),  # file_offset
    ("ColumnChunk", 4),  # offset_index_offset
    ("ColumnChunk", 6),  # column_index_offset
    ("ColumnMetaData", 9),  # data_page_offset
    ("ColumnMetaData", 10),  # index_page_offset
    ("ColumnMetaData", 11),  # dictionary_page_offset
    ("ColumnMetaData", 14),  # bloom_filter_offset
}


def split(content: bytes) -> tuple[bytes, bytes]:
    """The data of a Parquet file, with the mark it begins with, and its metadata."""
    if content[:4] != b"PAR1" or content[-4:] != b"PAR1":
        raise ReleaseError("A file of the release is not Parquet: it was changed while published.")
    n_metadata = int.from_bytes(content[-8:-4], "little")
    return content[: -8 - n_metadata], content[-8 - n_metadata : -8]


def end_of_file(metadata: bytes, distance: int) -> bytes:
    """The end of a file whose data lie `distance` bytes further on than `metadata` says."""
    moved = _Mover(metadata, distance).moved() if distance else metadata
    return moved + len(moved).to_bytes(4, "little") + b"PAR1"


class _Mover:
    """Copies one Thrift structure while it moves the numbers in it."""

    def __init__(self, metadata: bytes, distance: int) -> None:
        self.source = metadata
        self.distance = distance
        self.at = 0
        self.out = bytearray()

    def moved(self) -> bytes:
        self._struct("FileMetaData")
        return bytes(self.out)

    def _struct(self, name: str) -> None:
        field = 0
        while (header := self._copy(1)[0]) != 0:
            field = field + (header >> 4) if header >> 4 else _signed(self._copy_number())
            self._value(header & 15, name, field)

    def _value(self, kind: int, name: str, field: int) -> None:
        if kind in (_I16, _I32, _I64):
            number = self._number()
            if (name, field) in _OFFSETS and number:
                number += 2 * self.distance  # a number n is written as 2n, a negative as -2n - 1
            self._write_number(number)
        elif kind == _STRUCT:
            self._struct(_INNER.get((name, field), ""))
        elif kind in (_LIST, _SET):
            header = self._copy(1)[0]
            count = self._copy_number() if header >> 4 == 15 else header >> 4
            for _ in range(count):
                self._element(header & 15, name, field)
        elif kind == _MAP:
            count = self._copy_number()
            kinds = self._copy(1)[0] if count else 0
            for _ in range(count):
                self._element(kinds >> 4, name, field)
                self._element(kinds & 15, name, field)
        elif kind == _BINARY:
            self._copy(self._copy_number())
        elif kind in (_BYTE, _DOUBLE):
            self._copy(1 if kind == _BYTE else 8)
        elif kind not in (_TRUE, _FALSE):
            raise ReleaseError(
                f"The metadata of a Parquet file has a value of unknown kind {kind}."
            )

    def _element(self, kind: int, name: str, field: int) -> None:
        """Of a list or map: a truth value is a byte there, in a structure it is its own kind."""
        self._value(_BYTE if kind in (_TRUE, _FALSE) else kind, name, field)

    def _copy(self, n_bytes: int) -> bytes:
        piece = self.source[self.at : self.at + n_bytes]
        self.at += n_bytes
        self.out += piece
        return piece

    def _copy_number(self) -> int:
        number = self._number()
        self._write_number(number)
        return number

    def _number(self) -> int:
        number, shift = 0, 0
        while True:
            byte = self.source[self.at]
            self.at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7

    def _write_number(self, number: int) -> None:
        while number > 127:
            self.out.append(number & 127 | 128)
            number >>= 7
        self.out.append(number)


def _signed(number: int) -> int:
    return number // 2 if number % 2 == 0 else -(number // 2) - 1
