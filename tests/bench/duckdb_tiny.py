"""Landed files of one row each to typed rows with the file that each came from, in DuckDB.

usage: python duckdb_tiny.py LANDING OUT

Prints how many rows there are and the sum of their ids, to compare with.
"""

import json
import os
import sys

import duckdb

landing, out = sys.argv[1], sys.argv[2]
db = duckdb.connect()
db.execute("set threads = 2; set preserve_insertion_order = false")
columns = "{'id': 'BIGINT', 'name': 'VARCHAR', 'at': 'TIMESTAMPTZ'}"
db.execute(f"""
    copy (select * from read_csv('{landing}/readings-*.csv', header = true, columns = {columns}, filename = true))
    to '{out}' (format parquet, compression zstd)""")
with open(out, "rb") as file:
    os.fsync(file.fileno())
print(json.dumps([int(value) for value in db.execute(f"select count(*), sum(id) from '{out}'").fetchone()]))
