"""A landed file to typed rows with the bad ones set aside, in Polars, streaming.

usage: python polars_ingest.py FILE OUT_FOLDER

Prints how many rows there are of each kind, to compare with.
"""

import json
import os
import sys

os.environ["POLARS_MAX_THREADS"] = "2"
import polars as pl  # noqa: E402: it reads the variable when it is imported

source, out = sys.argv[1], sys.argv[2]
os.makedirs(out, exist_ok=True)
NAMES = ["event_id", "user_id", "event_time", "event_name", "platform", "amount", "page_url", "country"]
texts = {name: pl.String for name in NAMES}
landed = (
    pl.scan_ndjson(source, schema=texts) if ".ndjson" in source else pl.scan_csv(source, infer_schema=False)
)


def write(table, frame):
    frame.sink_parquet(f"{out}/{table}.parquet", compression="zstd", compression_level=1)
    with open(f"{out}/{table}.parquet", "rb") as file:
        os.fsync(file.fileno())


time = pl.col("event_time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", strict=False)
amount = pl.col("amount").replace("", None).cast(pl.Decimal(18, 2), strict=False)
write("typed", landed.with_columns(event_time=time, amount=amount, amount_text=pl.col("amount")).with_columns(
    is_bad=pl.col("amount_text").fill_null("").ne("") & pl.col("amount").is_null()))
typed = pl.scan_parquet(f"{out}/typed.parquet")
write("quarantine", typed.filter(pl.col("is_bad")))
print(json.dumps({
    table: pl.scan_parquet(f"{out}/{table}.parquet").select(pl.len()).collect().item()
    for table in ["typed", "quarantine"]
}))
