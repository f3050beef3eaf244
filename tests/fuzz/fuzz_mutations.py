"""Mutations that know the structure of a file: tokens of text, trees of JSON, members of archives, messages, bytes."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zipfile
from random import Random
from typing import Any

__all__ = ["mutated"]

TOKENS = (
    *(
        "",
        "0",
        "1",
        "-1",
        "2",
        "3",
        "0.5",
        "1/3",
        "1/0",
        "1e5000",
        "1e-5000",
        "9" * 30,
        "-0",
        "nan",
        "inf",
    ),
    *(
        "2147483647",
        "4294967296",
        "18446744073709551615",
        "x",
        "x - y",
        "1/(x - x)",
        "(a+b+c+d+e+f)**8",
    ),
    *(
        "@type: MDP",
        "@model",
        "state 0",
        "action 0",
        '"',
        "[",
        "]",
        "{}",
        "#",
        "//[a]",
        "\\ud800",
        "\0",
        "\r",
    ),
    *("\ufeff", "µ", "ﬁ", "null", "true", "[[]]", "STATES 3", "0.333333333333", "init", "deadlock"),
)
BYTES = (b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\x80", b"\r", b"\xef\xbb\xbf", b"\x7f" * 8)


def mutated(data: bytes, suffix: str, random: Random) -> bytes:
    """Return the contents of a file with one to three things changed."""
    for _ in range(random.choice((1, 1, 2, 3))):
        data = _once(data, suffix, random)
    return data


def _once(data: bytes, suffix: str, random: Random) -> bytes:
    if random.random() < 0.1:
        return _bytes(data, random)
    try:
        if suffix.endswith(".gz"):
            return gzip.compress(_once(gzip.decompress(data), suffix[:-3], random))
        if suffix == ".npz":
            return _zip(data, random)
        if suffix == ".umb":
            return _tar(data, random)
        if suffix == ".onnx":
            return _onnx(data, random)
        if suffix == ".safetensors":
            return _safetensors(data, random)
        if suffix in (".json", ".jani"):
            return json.dumps(_tree(json.loads(data), random)).encode()
        return _text(data, random)
    except Exception:  # noqa: BLE001  # it is damaged already
        return _bytes(data, random)


def _bytes(data: bytes, random: Random) -> bytes:
    place, length = random.randrange(len(data) + 1), random.choice((0, 1, 1, 4, 100))
    piece = random.choice(
        (b"", bytes([random.randrange(256)]), random.choice(BYTES), data[place : place + 50])
    )
    return data[:place] + piece + data[place + length :]


def _text(data: bytes, random: Random) -> bytes:
    pieces = re.split(r"([\s,:\[\]]+)", data.decode())
    place = random.randrange(len(pieces))
    action = random.randrange(4)
    if action == 0:
        pieces[place] = random.choice(TOKENS)
    elif action == 1:
        del pieces[place : place + random.choice((1, 2, 8))]
    elif action == 2:
        pieces[place:place] = pieces[place : place + random.choice((2, 8, 20))]
    else:
        other = random.randrange(len(pieces))
        pieces[place], pieces[other] = pieces[other], pieces[place]
    return "".join(pieces).encode(errors="surrogatepass")


def _tree(value: Any, random: Random) -> Any:
    """Change one node of a JSON document."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        if random.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return value | {key: _tree(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        place = random.randrange(len(value))
        if random.random() < 0.2:
            return value[:place] + value[place + random.choice((0, 1)) :] + value[place:][:1]
        return [*value[:place], _tree(value[place], random), *value[place + 1 :]]
    if isinstance(value, int) and random.random() < 0.6:
        return value + random.choice((-1, 1, 2**31, 2**63, -(10**25)))
    return random.choice((*TOKENS, None, True, 0.5, [], {}, [value], str(value)))


def _zip(data: bytes, random: Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    _one_member(members, random)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar(data: bytes, random: Random) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
        members = {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isreg()
        }
    _one_member(members, random)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def _one_member(members: dict[str, bytes], random: Random) -> None:
    name, other = random.choice(list(members)), random.choice(list(members))
    action = random.randrange(6)
    if action == 0:
        del members[name]
    elif action == 1:
        members[name] = members[other]
    elif name.endswith(".json"):
        members[name] = json.dumps(_tree(json.loads(members[name]), random)).encode()
    elif action == 2:  # the header of an array
        content = members[name].replace(b"'<", random.choice((b"'>", b"'|", b"'<")), 1)
        digit = random.randrange(10)
        members[name] = re.sub(rb"\((\d+),", rb"(%d\1," % digit, content, count=1)
    else:
        members[name] = _bytes(members[name], random)


def _onnx(data: bytes, random: Random) -> bytes:
    """Change one field of one message of a model."""
    import onnx

    model = onnx.ModelProto()
    model.ParseFromString(data)
    message = model
    while random.random() < 0.85:
        inner = [
            item
            for field, value in message.ListFields()
            if field.type == field.TYPE_MESSAGE
            for item in (value if _repeated(field) else [value])
        ]
        if not inner:
            break
        # Most of the model is in the graph, and most of the graph is nodes and weights.
        message = max(random.sample(inner, min(2, len(inner))), key=lambda item: item.ByteSize())
    fields = message.ListFields()
    if not fields:
        return _bytes(data, random)
    field, value = random.choice(fields)
    if random.random() < 0.1:
        message.ClearField(field.name)
    elif not _repeated(field):
        if field.type != field.TYPE_MESSAGE:
            setattr(message, field.name, _scalar(value, random))
    elif random.random() < 0.3:
        del value[random.randrange(len(value))]
    elif field.type == field.TYPE_MESSAGE:
        place, other = random.randrange(len(value)), random.randrange(len(value))
        if random.random() < 0.5:
            value.add().CopyFrom(value[place])
        else:
            value[place].CopyFrom(value[other])
    else:
        value[random.randrange(len(value))] = _scalar(value[0], random)
    return bytes(model.SerializeToString())


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == 3)


def _scalar(value: Any, random: Random) -> Any:
    if isinstance(value, bytes):
        numbers = bytearray(value)
        if len(numbers) >= 4 and random.random() < 0.6:  # one weight becomes another
            place = random.randrange(len(numbers) // 4) * 4
            numbers[place : place + 4] = random.choice(
                (
                    b"\0\0\0\0",
                    b"\0\0\x80?",
                    b"\0\0\0@",
                    b"\0\0\x80\x7f",
                    b"\0\0\xc0\x7f",
                    b"\1\0\0\0",
                )
            )
            return bytes(numbers)
        return _bytes(value, random)
    if isinstance(value, str):
        return random.choice(
            (value + "x", "", "x", "a", "N", "Relu", "Add", "MatMul", "Identity", "y")
        )
    if isinstance(value, float):
        return random.choice((0.0, -1.0, value + 1, 1e38, float("inf"), float("nan")))
    return random.choice((value + 1, value - 1, -value, 0, 1, 2, 2**31 - 1))


def _safetensors(data: bytes, random: Random) -> bytes:
    """Change the header, whose length comes first, or the numbers after it."""
    length = int.from_bytes(data[:8], "little")
    header, numbers = data[8 : 8 + length], data[8 + length :]
    if random.random() < 0.5:
        header = json.dumps(_tree(json.loads(header), random)).encode()
    else:
        numbers = _bytes(numbers, random)
    return len(header).to_bytes(8, "little") + header + numbers
