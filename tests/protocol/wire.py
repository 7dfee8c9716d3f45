"""Values as bytes and back, by the tables of PROTOCOL.md and nothing else.

A structure is a dict, a choice without fields its variant's name, a choice with fields a dict of one entry
(the variant's name) whose value is a dict. `bytes` are bytes, an absent option is None, a Duration is
(seconds, nanoseconds).
"""

import pathlib
import re
import struct

PAGE = pathlib.Path(__file__).resolve().parents[2] / "proto" / "PROTOCOL.md"
SCALARS = {"u8": "<B", "u32": "<I", "u64": "<Q", "i32": "<i", "f64": "<d"}


class Malformed(Exception):
    """Bytes that are no value, or a value that has no bytes."""


class Tables:
    """The page's structures and choices by name."""

    def __init__(self, page):
        self.structures = {}
        self.choices = {}
        name = None
        for line in page.splitlines():
            if line.startswith("#"):
                name = line[3:] if line.startswith("## ") else None
            if name and line.startswith("| "):
                self._row(name, [cell.strip() for cell in line.strip("|").split("|")])

    def _row(self, name, cells):
        if cells[0].isdigit():
            fields = re.findall(r"(\w+): `([^`]+)`", cells[2])
            self.choices.setdefault(name, {})[int(cells[0])] = (cells[1].strip("`"), fields)
        elif cells[0].startswith("`") and len(cells) == 3:
            self.structures.setdefault(name, []).append((cells[0].strip("`"), cells[1].strip("`")))


def inner(kind, outer):
    """The T of `outer<T>`, or None."""
    return kind[len(outer) + 1 : -1] if kind.startswith(outer + "<") else None


def pair(kind):
    """The T and the U of `(T, U)`, or None."""
    found = re.fullmatch(r"\((\w+), (\w+)\)", kind)
    return found.groups() if found else None


def array(kind):
    """The n of `[u8; n]`, or None."""
    found = re.fullmatch(r"\[u8; (\d+)\]", kind)
    return int(found[1]) if found else None


class Codec:
    """Writes and reads values of the types that `tables` has."""

    def __init__(self, tables):
        self.tables = tables

    def encode(self, kind, value):
        """The bytes of `value`, which is of the type `kind`."""
        if kind in SCALARS:
            return struct.pack(SCALARS[kind], value)
        if kind == "bool":
            return b"\x01" if value else b"\x00"
        if kind == "Duration":
            return struct.pack("<QI", *value)
        if kind in ("String", "bytes"):
            data = value.encode() if kind == "String" else value
            return struct.pack("<Q", len(data)) + data
        if array(kind):
            if len(value) != array(kind):
                raise Malformed(f"{len(value)} bytes are no {kind}")
            return value
        if inner(kind, "Vec"):
            items = [self.encode(inner(kind, "Vec"), item) for item in value]
            return struct.pack("<Q", len(items)) + b"".join(items)
        if inner(kind, "Option"):
            return b"\x00" if value is None else b"\x01" + self.encode(inner(kind, "Option"), value)
        if pair(kind):
            return b"".join(self.encode(part, item) for part, item in zip(pair(kind), value))
        if kind in self.tables.structures:
            return self._encode_fields(self.tables.structures[kind], value)
        if kind in self.tables.choices:
            return self._encode_choice(kind, value)
        raise Malformed(f"the page has no type {kind}")

    def _encode_fields(self, fields, value):
        return b"".join(self.encode(kind, value[name]) for name, kind in fields)

    def _encode_choice(self, kind, value):
        variant, members = (value, {}) if isinstance(value, str) else next(iter(value.items()))
        for index, (name, fields) in self.tables.choices[kind].items():
            if name == variant:
                return struct.pack("<I", index) + self._encode_fields(fields, members)
        raise Malformed(f"{kind} has no {variant}")

    def decode(self, kind, data):
        """The value of type `kind` that all of `data` is."""
        value, rest = self._decode(kind, data)
        if rest:
            raise Malformed(f"{len(rest)} bytes after the {kind}")
        return value

    def _decode(self, kind, data):
        if kind in SCALARS:
            head, rest = take(data, struct.calcsize(SCALARS[kind]))
            return struct.unpack(SCALARS[kind], head)[0], rest
        if kind == "bool":
            return flag(data)
        if kind == "Duration":
            head, rest = take(data, 12)
            return struct.unpack("<QI", head), rest
        if kind in ("String", "bytes"):
            return text(kind, *counted(data))
        if array(kind):
            return take(data, array(kind))
        if inner(kind, "Vec"):
            length, rest = counted(data)
            return self._decode_row([(None, inner(kind, "Vec"))] * length, rest)
        if inner(kind, "Option"):
            present, rest = flag(data)
            return self._decode(inner(kind, "Option"), rest) if present else (None, rest)
        if pair(kind):
            return self._decode_row([(None, part) for part in pair(kind)], data)
        if kind in self.tables.structures:
            return self._decode_fields(self.tables.structures[kind], data)
        if kind in self.tables.choices:
            return self._decode_choice(kind, data)
        raise Malformed(f"the page has no type {kind}")

    def _decode_row(self, fields, data):
        values = []
        for _, kind in fields:
            value, data = self._decode(kind, data)
            values.append(value)
        return values, data

    def _decode_fields(self, fields, data):
        values, data = self._decode_row(fields, data)
        return {name: value for (name, _), value in zip(fields, values)}, data

    def _decode_choice(self, kind, data):
        index, data = self._decode("u32", data)
        if index not in self.tables.choices[kind]:
            raise Malformed(f"{kind} has no index {index}")
        variant, fields = self.tables.choices[kind][index]
        if not fields:
            return variant, data
        members, data = self._decode_fields(fields, data)
        return {variant: members}, data


def take(data, length):
    """The first `length` bytes and the rest."""
    if len(data) < length:
        raise Malformed(f"{len(data)} bytes where {length} are due")
    return data[:length], data[length:]


def counted(data):
    """A length that the rest can hold, and the rest."""
    head, rest = take(data, 8)
    length = struct.unpack("<Q", head)[0]
    if length > len(rest):
        raise Malformed(f"{length} elements in {len(rest)} bytes")
    return length, rest


def text(kind, length, data):
    """`length` bytes as text or as they are, and the rest."""
    head, rest = take(data, length)
    if kind == "bytes":
        return head, rest
    try:
        return head.decode(), rest
    except UnicodeDecodeError as error:
        raise Malformed("text that is not UTF-8") from error


def flag(data):
    """A byte that is 0 or 1, and the rest."""
    head, rest = take(data, 1)
    if head not in (b"\x00", b"\x01"):
        raise Malformed(f"{head.hex()} is neither 0 nor 1")
    return head == b"\x01", rest


CODEC = Codec(Tables(PAGE.read_text(encoding="utf-8")))
