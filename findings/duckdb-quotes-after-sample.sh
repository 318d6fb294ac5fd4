#!/usr/bin/env bash
# DuckDB 2.0.1 (PyPI), read_csv with its defaults.
#
# Expected: a cell in quotation marks (RFC 4180) is read in the same way on each row of a file.
# Seen: the reader decides by a sample of 20,480 rows whether a file uses quotation marks. If the first quoted cell comes
# later, the reader has settled on "no quotation marks":
#   - A cell with doubled quotation marks loads without an error, with the marks as they are in the file.
#   - A cell with a comma ends in "Expected Number of Columns: 2 Found: 3".
#   - If the names in the header line are quoted, both cells are read right.
# Writers that quote only where they must (Python's csv, Rust's csv) make such files as soon as a late row needs a quote.
set -Eeuo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1

cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import csv

import duckdb

ROWS = 30_000


def load(cell, row, header='id,labels\r\n'):
    """Loads a file in which only this row has a cell that must be quoted. Returns the cell as DuckDB read it."""
    with open("rows.csv", "w", newline="") as file:
        file.write(header)
        lines = csv.writer(file)
        for number in range(ROWS):
            lines.writerow([number, cell if number == row else "plain"])
    query = f"select count(*), max(case when id = {row} then labels end) from read_csv('rows.csv')"
    try:
        count, read = duckdb.sql(query).fetchall()[0]
    except duckdb.InvalidInputException as error:
        return str(error).splitlines()[2]
    assert count == ROWS, count
    return read


JSON = '{"team":"a"}'
seen = {
    "doubled quotes, row 20470": load(JSON, 20_470),
    "doubled quotes, row 20480": load(JSON, 20_480),
    "doubled quotes, row 20480, quoted header": load(JSON, 20_480, '"id","labels"\r\n'),
    "comma, row 20480": load("a,b", 20_480),
    "comma, row 20480, quoted header": load("a,b", 20_480, '"id","labels"\r\n'),
}
for case, read in seen.items():
    print(f"{case}: {read}")
assert list(seen.values()) == [
    JSON,
    '"{""team"":""a""}"',
    JSON,
    "Expected Number of Columns: 2 Found: 3",
    "a,b",
], "the behaviour has changed"
PYTHON
echo "DuckDB 2.0.1 behaves as described"
