"""CSV as other systems write it."""

import pytest
from support.sources import error_of, read, records

ONE = [{"customerId": "C1", "Attributes": {"status": "1", "name": "Ana"}}]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quote", ["", '"', "'"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n \n"])
def test_the_head_tells_the_delimiter_and_the_quote(write, delimiter, quote, line_end, start):
    rows = [["status", "customerId", "name"], ["1", "C1", "Ana"]]
    text = line_end.join(delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in rows)
    assert records(write("a.csv", start + text.encode())) == ONE


def test_another_delimiter_in_the_cells_does_not_mislead(write):
    path = write("a.csv", "customerId;note\nC1;a,b,c|d\n")
    assert records(path) == [{"customerId": "C1", "Attributes": {"note": "a,b,c|d"}}]


def test_excels_hint_names_the_delimiter(write):
    assert records(write("a.csv", "sep=;\r\nstatus;customerId;name\r\n1;C1;Ana\r\n")) == ONE
    assert records(write("b.csv", "sep=:\nstatus:customerId:name\n1:C1:Ana\n")) == ONE


def test_what_is_given_is_not_detected(write):
    path = write("a.csv", "customerId:x\n^C,1^:^a\\^b^\n")
    assert records(path, delimiter=":", quotechar="^", escapechar="\\") == [
        {"customerId": "C,1", "Attributes": {"x": "a^b"}}
    ]
    assert "customerId: the column of the customer ids is missing" in error_of(
        write("b.csv", "customerId;x\nC1;1\n"), delimiter=","
    )


def test_a_head_with_spaces_and_cells_with_line_ends(write):
    path = write("a.csv", ' customerId , "first name"\r\nC1,"a\r\nb"\r\nC2,x\r\n')
    assert [(raw.position.split(", ")[1], raw.record["Attributes"]) for raw in read(path)] == [
        ("line 2", {"first name": "a\r\nb"}),
        ("line 4", {"first name": "x"}),
    ]


def test_lines_are_counted_from_the_beginning_of_the_file(write):
    path = write("a.csv", "sep=;\n\ncustomerId;x\nC1;1\n")
    assert read(path)[0].position == f"{path}, line 4"
    assert error_of(write("b.csv", "\n\nid,x\n")).startswith(", line 3: customerId")


def test_columns_are_renamed_and_left_out_and_constants_added(write):
    path = write("a.csv", "CRN,E-Mail,Kanal,Notiz\nC1,a@example.com,x,y\nC2,,x,\n")
    options = {"columns": {"E-Mail": "email", "Kanal": None}, "attributes": {"channel": "rt", "verified": True}}
    assert records(path, customer_id_column="CRN", **options) == [
        {"customerId": "C1", "Attributes": {"email": "a@example.com", "Notiz": "y", "channel": "rt", "verified": True}},
        {"customerId": "C2", "Attributes": {"channel": "rt", "verified": True}},
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"nope": "x"}}, ", line 1: nope: columns names it, there is no such column"),
        ({"columns": {"a": "b"}}, ", line 1: b: columns gives two columns this name"),
        ({"attributes": {"b": "1"}}, ", line 1: b: attributes gives it, and a column does: leave the column out"),
        ({"columns": {"a": ""}}, ", line 1: a column has no name"),
    ],
)
def test_what_would_lose_a_value_is_refused(write, options, message):
    assert error_of(write("a.csv", "customerId,a,b\n1,2,3\n"), **options).startswith(message)


@pytest.mark.parametrize(
    ("times", "message"), [(100, "not valid CSV: unexpected end of data"), (300_000, "the row is longer")]
)
def test_a_quote_that_is_never_closed_is_an_error_within_bounded_memory(write, times, message):
    path = write("a.csv", 'customerId,x\nC1,1\nC2,"planted' + "planted\n" * times)
    assert error_of(path).startswith(f", line 3: {message}")


def test_a_head_may_hold_line_ends(write):
    path = write("a.csv", 'customerId,"Address\n(street, city)"\nC1,Main St\nC2,"Elm, St"\n')
    assert [(raw.position.split(", ")[1], raw.record) for raw in read(path)] == [
        ("line 3", {"customerId": "C1", "Attributes": {"Address\n(street, city)": "Main St"}}),
        ("line 4", {"customerId": "C2", "Attributes": {"Address\n(street, city)": "Elm, St"}}),
    ]
    assert records(write("b.csv", 'customerId;"E-\nMail"\nC1;x\n'), columns={"E-\nMail": "email"}) == [
        {"customerId": "C1", "Attributes": {"email": "x"}}
    ]
    assert records(write("c.csv", '"the\nid";x\n1;2\n'), customer_id_column="the\nid")[0]["customerId"] == "1"


def test_a_tab_is_never_a_part_of_the_id(write):
    path = write("a.csv", "\tcustomerId\n0\tC1\n")
    assert error_of(path).startswith(", line 1: a column has no name")
    assert records(path, columns={"": None}) == [{"customerId": "C1", "Attributes": {}}]
    assert records(write("b.csv", "customerId\t\nC1\t\n")) == [{"customerId": "C1", "Attributes": {}}]


def test_many_columns_take_no_longer_than_their_number(write):
    names = [f"column{number}" for number in range(60_000)]
    path = write("a.csv", ",".join(["customerId", *names]) + "\n" + ",".join(["C1", *["x"] * len(names)]) + "\n")
    (record,) = records(path)
    assert len(record["Attributes"]) == 60_000


def test_the_ids_column_is_an_attribute_too_where_columns_names_it(write):
    path = write("a.csv", "CRN,x\nC1,1\n")
    assert records(path, customer_id_column="CRN", columns={"CRN": "crn"}) == [
        {"customerId": "C1", "Attributes": {"crn": "C1", "x": "1"}}
    ]


def test_rows_of_endless_short_cells_are_an_error_within_bounded_memory(write):
    assert error_of(write("a.csv", "customerId,x\nC1" + ',"a\n"' * 300_000)).startswith(", line 2: the row is longer")


def test_a_file_without_a_header_row_is_told_so_and_none_of_its_values(write):
    error = error_of(write("a.csv", "C7,1,planted-value\nC8,1,x\n"))
    assert error.endswith("name it in customer_id_column. The first row does not look like the names of columns: is the "
                          "header row missing?")  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (r'"say \"hi\""', 'say "hi"'),
        (r'"\"', None),
        (r'"ends with \\"', "ends with \\"),
        (r'"a \"\" b"', 'a "" b'),
        (r'"doubled "" too"', 'doubled " too'),
        (r"DOMAIN\user", r"DOMAIN\user"),
        (r'"DOMAIN\user"', r"DOMAIN\user"),
        (r"\\server\share", r"\\server\share"),
        ('"two\nlines, \\"quoted\\"\nand more"', 'two\nlines, "quoted"\nand more'),
        (r"5\" pipe", r"5\" pipe"),
    ],
)
def test_an_escape_counts_within_quotes_only(write, cell, value):
    path = write("a.csv", f"customerId,x,y\nC1,{cell},z\nC2,b,c\n")
    first, *others = read(path, escapechar="\\")
    if value is None:
        assert first.problem.startswith("not valid CSV")
    else:
        assert first.record["Attributes"] == {"x": value, "y": "z"}
    assert others[-1].record == {"customerId": "C2", "Attributes": {"x": "b", "y": "c"}}
