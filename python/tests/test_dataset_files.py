"""Rows of naja.dataset to files and back."""

import datetime
import decimal
import json

import pytest

from naja import dataset

ROWS = [
    {"name": "Ada, \"A\"", "born": datetime.date(1815, 12, 10), "count": 3, "share": 0.5, "ok": True, "code": "007"},
    {"name": "line\nbreak", "born": None, "count": -1, "share": 2.0, "ok": False, "code": "12"},
]


@pytest.fixture
def db(tmp_path):
    base = dataset.connect("sqlite://")
    base["people"].insert_many(ROWS)
    yield base
    base.close()


@pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
def test_rows_come_back_from_a_file(db, tmp_path, format):
    path = dataset.freeze(db["people"].find(order_by="id"), format=format, prefix=tmp_path)
    assert path == str(tmp_path / f"freeze.{format}")
    assert db["again"].load(path) == 2
    again = [dict(row) for row in db["again"]]
    if format != "csv":
        for row in again:
            row["born"] = row["born"] and datetime.date.fromisoformat(row["born"])
    assert again == [dict(row) for row in db["people"]]


def test_values_without_a_form_in_a_file_get_one(db, tmp_path):
    row = {
        "at": datetime.datetime(2020, 1, 2, 3, 4, 5),
        "price": decimal.Decimal("1.10"),
        "raw": b"\0\xff",
        "list": [1, {"a": "ü"}],
    }
    db["odd"].insert(row)
    dataset.freeze(db["odd"].find(), filename="odd.csv", prefix=tmp_path)
    expected = 'id,at,price,raw,list\n1,2020-01-02T03:04:05,1.1,AP8=,"[1, {""a"": ""ü""}]"\n'
    assert (tmp_path / "odd.csv").read_text(encoding="utf-8") == expected
    dataset.freeze(db["odd"].find(), "json", filename="odd.json", prefix=tmp_path, indent=1)
    assert json.loads((tmp_path / "odd.json").read_text())[0]["list"] == [1, {"a": "ü"}]


def test_a_file_with_keys_changes_the_rows_that_are_there(db, tmp_path):
    (tmp_path / "new.jsonl").write_text('{"name": "Bob", "count": 1}\n\n{"code": "12", "count": 9}\n')
    with pytest.raises(dataset.DatasetError, match="line 2: an object is needed"):
        (tmp_path / "bad.jsonl").write_text('{"a": 1}\n[1]\n')
        db["bad"].load(tmp_path / "bad.jsonl")
    assert "bad" not in db, "nothing of a file that is broken is kept"
    (tmp_path / "people.csv").write_text("code,count\n007,30\n008,31\n")
    assert db["people"].load(tmp_path / "people.csv", keys=["code"]) == 2
    assert {row["code"]: row["count"] for row in db["people"]} == {"007": 30, "008": 31, "12": -1}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", ""], int),
        (["1", "2.5"], float),
        (["1", "x"], str),
        (["007", "8"], str),
        (["9" * 19, "1"], str),
        (["true", "FALSE"], bool),
        (["2020-02-29"], datetime.date),
        (["2020-02-30"], str),
        (["2020-02-28T10:00", "2020-02-28 10:00:00.5"], datetime.datetime),
        (["nan"], str),
    ],
)
def test_a_column_gets_the_type_that_all_of_its_values_have(db, tmp_path, values, kind):
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{value},x\n" for value in values))
    db["t"].load(tmp_path / "t.csv")
    assert {type(row["a"]) for row in db["t"] if row["a"] is not None} == {kind}


def test_a_broken_file_is_named_with_its_line(db, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(dataset.DatasetError, match=r"t\.csv, line 3: 1 values, and the first line names 2 columns"):
        db["t"].load(tmp_path / "t.csv")
    (tmp_path / "t.json").write_text('[{"a": 1},\n nonsense]')
    with pytest.raises(dataset.DatasetError, match=r"t\.json, line 2: no JSON"):
        db["t"].load(tmp_path / "t.json")
    with pytest.raises(dataset.DatasetError, match="the formats are csv, json and jsonl"):
        dataset.freeze(db["people"], format="xls", prefix=tmp_path)
    with pytest.raises(FileNotFoundError):
        db["t"].load(tmp_path / "none.csv")
    assert "t" not in db


@pytest.mark.parametrize(
    ("name", "text"),
    [("t.csv", '"a","b"\r\n1,"x"\r\n\r\n'), ("t.json", ' [{"a": 1, "b": "x"}]'), ("t.jsonl", '{"a": 1, "b": "x"}\n')],
)
def test_a_file_may_say_that_it_is_utf_8(db, tmp_path, name, text):
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert db["t"].load(tmp_path / name) == 1
    assert dict(next(iter(db["t"]))) == {"id": 1, "a": 1, "b": "x"}


def test_a_value_that_cannot_be_stored_is_named_and_nothing_is(db, tmp_path):
    db["t"].insert({"a": 1, "when": datetime.date(2020, 1, 1)})
    lines = "".join('{"a": %d, "when": null}\n' % number for number in range(1500))
    (tmp_path / "t.jsonl").write_text(lines + '{"a": 7, "when": [1]}\n')
    with pytest.raises(Exception, match="SQLite Date type only accepts Python date objects"):
        db["t"].load(tmp_path / "t.jsonl")
    assert len(db["t"]) == 1


def test_a_file_is_replaced_only_by_a_whole_one(db, tmp_path):
    (tmp_path / "freeze.csv").write_text("old")

    def rows():
        yield {"a": 1}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        dataset.freeze(rows(), prefix=tmp_path)
    assert (tmp_path / "freeze.csv").read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["freeze.csv"]


def test_a_result_without_rows_still_has_its_columns(db, tmp_path):
    dataset.freeze(db["people"].find(name="nobody"), filename="none.csv", prefix=tmp_path)
    assert (tmp_path / "none.csv").read_text() == "id,name,born,count,share,ok,code\n"
