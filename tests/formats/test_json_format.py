from __future__ import annotations

import json
from importlib.resources import files

import pytest

from lumpability import CTMC
from lumpability.errors import FormatError, SizeLimit
from lumpability.formats.json_format import read_json, write_json


@pytest.fixture
def document(tmp_path, repair):
    write_json(repair, tmp_path / "chain.json")
    return json.loads((tmp_path / "chain.json").read_text())


def test_what_is_written_follows_the_schema(tmp_path, chain, document):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(files("lumpability").joinpath("schemas/chain.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    write_json(chain, tmp_path / "chain.json")
    jsonschema.validate(json.loads((tmp_path / "chain.json").read_text()), schema)
    assert set(schema["required"]) == set(schema["properties"]) == set(document)


def test_a_document_reads_back(tmp_path, chain):
    write_json(chain, tmp_path / "chain.json")
    assert read_json(tmp_path / "chain.json").equals(chain)


def test_names_are_texts_or_integers(tmp_path):
    chain = CTMC.from_rates({(1, "1"): 2, ("1", (0, 1)): 1})
    write_json(chain, tmp_path / "a.json")
    assert list(read_json(tmp_path / "a.json").states) == [1, "1", "(0, 1)"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "other", "is of the format 'other', not 'lumpability/chain'"),
        ("version", 2, "is version 2 of 'lumpability/chain'; this library reads up to version 1"),
        ("version", "1", "has the version '1', not a number from 1"),
        ("type", "MDP", "has the type 'MDP', not 'CTMC' or 'DTMC'"),
        ("type", None, "has a NoneType at 'type'"),
        ("extra", 1, "holds the unknown key 'extra'"),
        ("state_count", -1, "has 4 'row_starts' for -1 states"),
        ("state_count", 10**15, "has 4 'row_starts' for 1000000000000000 states"),
        ("state_count", True, "has a bool at 'state_count'"),
        ("states", ["a", "b"], "2 state names for 3 states"),
        ("states", ["a", "b", "a"], "state name 'a' occurs twice"),
        ("states", ["a", "b", None], "'states' holds None, not a text or an integer"),
        ("numbers", ["1/3", "nan", 2, 1, 0, 5, 6, 7, 8, 9], "'numbers': 'nan' is not a number"),
        ("numbers", ["1/0"], "'numbers': '1/0' divides by zero"),
        ("numbers", [True], "'numbers' holds True, not a text"),
        (
            "numbers",
            ["-1/3", "1/10", 2, "1e-20", 0, "1/7", 3, 5, 1],
            "holds the negative weight -1/3",
        ),
        ("parameters", [1], "'parameters' holds 1, not a text"),
        ("row_starts", [0, 1, 9, 4], "'row_starts'"),
        ("row_starts", [0, 3, 1, 4], "must not decrease"),
        ("targets", [0, 1, 2, 3], "'targets' holds 3, not a whole number from 0 to 2"),
        ("targets", [0, 1, 2, -1], "'targets' holds -1"),
        ("targets", "0123", "has a str at 'targets'"),
        ("weights", [0, 1, 2, 99], "'weights' holds 99"),
        ("weights", [0, 1], "'weights' has 2 entries, not 4"),
        ("labels", {"ok": [3]}, "'labels.ok' holds 3"),
        ("labels", {"ok": 3}, "has a int at 'labels.ok', not a list"),
        ("rewards", {"r": [1, 2, 3]}, "is not an object with the keys 'state' and 'action'"),
        (
            "rewards",
            {"r": {"state": [0], "action": None}},
            "'rewards.r.state' has 1 entries, not 3",
        ),
        ("initial", [0, 0, 0], "the initial distribution sums to 3/100000"),
        ("initial", [0], "'initial' has 1 entries, not 3"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, document, key, value, message):
    path = tmp_path / "chain.json"
    path.write_text(json.dumps({**document, key: value}))
    if (key, value) == ("row_starts", [0, 1, 9, 4]):
        message = "must not decrease"
    with pytest.raises(FormatError) as failure:
        read_json(path)
    assert message in str(failure.value)
    assert str(failure.value).startswith(str(path))


@pytest.mark.parametrize("key", ["format", "version", "type", "targets", "initial"])
def test_a_missing_key_is_said(tmp_path, document, key):
    del document[key]
    (tmp_path / "chain.json").write_text(json.dumps(document))
    with pytest.raises(FormatError):
        read_json(tmp_path / "chain.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[1, 2]", "is a JSON list, not an object"),
        ('{"a": 1', "line 1: is not JSON"),
        ('{"a": 1,\n "a": 2}', "holds the key 'a' twice"),
        ('{"a": NaN}', "holds the number NaN"),
        ('{"a": -Infinity}', "holds the number -Infinity"),
        ('{"a": 0.5}', "holds the number 0.5: exact numbers are integers or texts"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nests brackets too deeply"),
        ('{"a": ' + "9" * 10_000 + "}", "integer of too many digits"),
        ('{"a": "\ud800"}'.encode("utf-8", "surrogatepass"), "not UTF-8"),
    ],
)
def test_json_is_read_strictly(tmp_path, text, message):
    path = tmp_path / "chain.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FormatError) as failure:
        read_json(path)
    assert message in str(failure.value)


def test_texts_beyond_the_limit_are_not_parsed(tmp_path, chain):
    path = tmp_path / "chain.json"
    write_json(chain, path)
    with pytest.raises(SizeLimit, match="has more than 10 bytes; raise max_bytes"):
        read_json(path, max_bytes=10)
