import sys

import pytest

from src.data.rows import Odd, read_rows


def test_a_csv_is_text_numbered_as_in_a_spreadsheet(tmp_path):
    table = tmp_path / "t.csv"
    table.write_bytes('\ufeffpath,label\r\na.png, 1 \r\n\r\n"b,c.png"\r\n'.encode())
    columns, rows = read_rows(table)
    assert columns == ("path", "label")
    assert rows == [(2, {"path": "a.png", "label": "1"}), (4, {"path": "b,c.png", "label": ""})]


def test_a_parquet_file_says_the_same(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="the hub extra is not installed")
    from pyarrow import parquet

    table = pyarrow.table({"path": ["a.png", "b.png"], "label": [1, 2], "weight": [0.5, float("nan")]})
    parquet.write_table(table, tmp_path / "t.parquet")
    columns, rows = read_rows(tmp_path / "t.parquet")
    assert columns == ("path", "label", "weight")
    assert rows[0] == (1, {"path": "a.png", "label": "1", "weight": "0.5"})
    assert rows[1] == (2, {"path": "b.png", "label": "2", "weight": ""})
    (tmp_path / "no.parquet").write_text("no parquet")
    with pytest.raises(ValueError, match="is no Parquet file"):
        read_rows(tmp_path / "no.parquet")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r'pip install -e "\.\[hub\]"'):
        read_rows(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, r"gone\.csv does not exist: set data\.table=FILE"),
        ("t.xlsx", b"", "neither .csv nor .parquet"),
        ("t.csv", b"", "has no rows"),
        ("t.csv", b"path,label\n\n", "has no rows"),
        ("t.csv", b"path;label\na;b\n", "not parted by commas"),
        ("t.csv", b"path,path\na,b\n", "the column 'path' twice"),
        ("t.csv", b"path,label\na,b\na,b,c\n", r"row 3 of .* has 3 cells for 2 columns"),
        ("t.csv", b'path,label,note\na,b,1\nb,b,"2 inch\nc,b,3\n', r"row 3 of .* cannot be read .*: put a cell that"),
        (
            "t.csv",
            b'path,label,note\na,b,"2 inch\nb,b,"3 inch\nc,b,4\n',
            r"row 2 of .* cannot be read .*write it twice",
        ),
        ("t.csv", b"path,label\n\xff,b\n", "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_one_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_rows(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"path,label,,\na.png,x,,\nb.png,y,,\n",
        b"path,label\na.png,x,,\nb.png,y,\n",
        b",path,label,\n0,a.png,x,\n1,b.png,y,z\n",
        b"sep=,\npath,label\na.png,x\nb.png,y\n",
        b"\xef\xbb\xbfsep=;\r\npath;label\r\na.png;x\r\nb.png;y\r\n",
        b'"sep=;"\npath;label;;\na.png;x;;\nb.png;y;;\n',
        b"sep=\t\npath\tlabel\na.png\tx\nb.png\ty\n",
    ],
)
def test_what_spreadsheets_add_is_left_out(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    columns, rows = read_rows(tmp_path / "t.csv")
    assert columns == ("path", "label")
    assert rows == [(2, {"path": "a.png", "label": "x"}), (3, {"path": "b.png", "label": "y"})]


def test_lists_records_and_bytes_of_parquet_are_no_text(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="the hub extra is not installed")
    from pyarrow import parquet

    columns = {
        "list": [["rust", None, " scab"], []],
        "deep": [[["a"]], None],
        "record": [{"bytes": b"x"}, None],
        "raw": [b"\xff", "é".encode()],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    _, rows = read_rows(tmp_path / "t.parquet")
    assert rows[0][1] == {
        "list": ("rust", "scab"),
        "deep": Odd("a list of lists or records"),
        "record": Odd("a record"),
        "raw": Odd("bytes"),
    }
    assert rows[1][1] == {"list": (), "deep": "", "record": "", "raw": "é"}
