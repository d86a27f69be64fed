"""Runs SQL in Spark over tables of a lake; a process of its own, since Spark may stand in another environment.

Standard input: `{"tables": {table: {"folder", "files"}}, "sql": {table: statement}}`. Standard output, last line: `{"engine": …,
"rows": {table: [[tenant_id, shard, log_index, commitment]]}}`.
"""

import json
import sys


def open_spark():
    """Sail's server where it is installed, else Spark in a JVM; with its name and version."""
    from pyspark.sql import SparkSession

    try:
        from pysail import __version__
        from pysail.spark import SparkConnectServer
    except ImportError:
        spark = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
            .getOrCreate()
        )
        return spark, None, f"Spark {spark.version}"
    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").getOrCreate()
    return spark, server, f"Sail {__version__}"


def main():
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    spark, server, engine = open_spark()
    rows = {}
    for table, place in request["tables"].items():
        if server is None:
            frame = spark.read.option("basePath", place["folder"]).parquet(*place["files"])
        else:
            frame = spark.read.format("delta").load(place["folder"])
        frame.createOrReplaceTempView(table)
        rows[table] = [list(row) for row in spark.sql(request["sql"][table]).collect()]
    spark.stop()
    print(json.dumps({"engine": engine, "rows": rows}))  # noqa: T201 - this is the answer


if __name__ == "__main__":
    main()
