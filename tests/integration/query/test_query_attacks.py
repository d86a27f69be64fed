"""Every way out of a session that PROTOCOLS.md names, and more, against a lake of two tenants with a canary in the other."""

import hashlib

import duckdb
import pytest

from warehouse.errors import QueryError

# {file}: a file of acme's own; {other}: one of globex; {outside}: a CSV of the lake's folder; {spill}: the session's folder.
ATTACKS = [
    ("several statements", "select 1; select 2"),
    ("a second statement that writes", "select 1; copy (select 1) to '{outside}'"),
    ("no statement", "-- nothing"),
    ("empty", ""),
    ("not SQL", "selec 1"),
    ("insert", "insert into spans select * from spans"),
    ("update", "update spans set name = 'x'"),
    ("delete", "delete from spans"),
    ("insert in a WITH", "with w as (insert into spans values (1) returning *) select * from w"),
    ("update in a WITH", "with w as (update spans set name = 'x' returning *) select * from w"),
    ("delete in a WITH", "with w as (delete from spans returning *) select * from w"),
    ("create table", "create table t as select 1"),
    ("create view", "create view v as select * from read_parquet('{other}')"),
    ("create or replace a view", "create or replace view spans as select 1"),
    ("create macro", "create macro m() as table select * from read_parquet('{other}')"),
    ("create secret", "create secret (type http)"),
    ("drop", "drop view spans"),
    ("alter", "alter view spans rename to s"),
    ("attach", "attach '{outside}' as db"),
    ("detach", "detach memory"),
    ("use", "use system"),
    ("set", "set enable_external_access = true"),
    ("reset", "reset lock_configuration"),
    ("set variable", "set variable x = 1"),
    ("pragma", "pragma database_list"),
    ("pragma call", "pragma table_info('spans')"),
    ("call", "call pragma_version()"),
    ("checkpoint", "checkpoint"),
    ("vacuum", "vacuum"),
    ("install", "install httpfs"),
    ("load", "load json"),
    ("export", "export database '{outside}'"),
    ("import", "import database '{outside}'"),
    ("prepare", "prepare p as select 1"),
    ("execute", "execute p"),
    ("transaction", "begin transaction"),
    ("explain", "explain select * from spans"),
    ("explain analyze", "explain analyze select * from spans"),
    ("copy over its own file", "copy (select 1 as a) to '{file}' (format parquet, use_tmp_file false)"),
    ("copy over another's file", "copy spans to '{other}' (format parquet, use_tmp_file false)"),
    ("copy into the spill folder", "copy spans to '{spill}/x.parquet'"),
    ("copy to standard output", "copy spans to '/dev/stdout'"),
    ("copy from", "copy spans from '{other}'"),
    ("its own file by path", "select * from '{file}'"),
    ("another's file by path", "select * from '{other}'"),
    ("another's file by path, quoted as a name", 'select * from "{other}"'),
    ("a file below a subquery", "select (select count(*) from '{other}')"),
    ("a file in a join", "select * from spans join '{other}' using (trace_id)"),
    ("a file in a set operation", "select name from spans union all select name from '{other}'"),
    ("a file in EXISTS", "select * from spans where exists (from '{other}')"),
    ("a file in LIMIT", "select * from spans limit (select count(*) from '{other}')"),
    ("a file in ORDER BY", "select * from spans order by (select min(name) from '{other}')"),
    ("a file in a lambda", "select list_transform([1], lambda x: (select min(name) from '{other}'))"),
    ("a file in a FILTER", "select count(*) filter (where (select true from '{other}')) from spans"),
    ("a file in a window", "select sum(1) over (order by (select 1 from '{other}')) from spans"),
    ("a file in QUALIFY", "select 1 from spans qualify (select true from '{other}')"),
    ("a file in GROUP BY", "select 1 from spans group by (select name from '{other}')"),
    ("a file in VALUES", "values ((select min(name) from '{other}'))"),
    ("a file in DESCRIBE", "describe '{other}'"),
    ("a file in SUMMARIZE", "summarize '{other}'"),
    ("a file in PIVOT", "select * from (pivot '{other}' on name in ('x') using count(*))"),
    ("a file in UNPIVOT", "unpivot '{other}' on name into name n value v"),
    ("a file in a table function's argument", "select * from unnest((select list(name) from '{other}'))"),
    ("a file in a lateral join", "select * from spans, lateral (select * from '{other}')"),
    ("a file in COLUMNS", "select columns(c -> (select true from '{other}')) from spans"),
    ("a file inside a recursive WITH", "with recursive r as (select 1 union all select 1 from '{other}') select * from r"),
    ("a path named by an inner WITH", "select * from '{other}', (with \"{other}\" as (select 1) select 1)"),
    ("a WITH named like a path", 'with "{other}" as (select 1) select * from "{other}"'),
    ("a WITH used before it is there", "with a as (select * from b), b as (select 1) select * from a"),
    ("a WITH of an inner query, outside it", "select * from (with w as (select 1) select * from w), w"),
    ("read_parquet of its own file", "select * from read_parquet('{file}')"),
    ("read_parquet", "select * from read_parquet('{other}')"),
    ("parquet_scan", "select * from parquet_scan('{other}')"),
    ("upper case", "SELECT * FROM READ_PARQUET('{other}')"),
    ("quoted function name", "select * from \"read_parquet\"('{other}')"),
    ("qualified table function", "select * from system.main.read_parquet('{other}')"),
    ("parquet_metadata", "select * from parquet_metadata('{file}')"),
    ("parquet_schema", "select * from parquet_schema('{other}')"),
    ("parquet_kv_metadata", "select * from parquet_kv_metadata('{other}')"),
    ("parquet_bloom_probe", "select * from parquet_bloom_probe('{other}', 'trace_id', 'b')"),
    ("read_csv", "select * from read_csv('{outside}')"),
    ("read_csv_auto", "select * from read_csv_auto('{outside}')"),
    ("sniff_csv", "select * from sniff_csv('{outside}')"),
    ("read_json", "select * from read_json('{outside}')"),
    ("read_ndjson_objects", "select * from read_ndjson_objects('{outside}')"),
    ("read_text", "select * from read_text('{outside}')"),
    ("read_blob", "select * from read_blob('/proc/self/environ')"),
    ("read_duckdb", "select * from read_duckdb('{outside}')"),
    ("glob", "select * from glob('/*')"),
    ("arrow_scan", "select * from arrow_scan(1, 2, 3)"),
    ("pandas_scan", "select * from pandas_scan(1)"),
    ("python_map_function", "select * from python_map_function(1)"),
    ("query", "select * from query('select 1')"),
    ("query_table", "select * from query_table('spans')"),
    ("json_execute_serialized_sql", "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))"),
    ("json_serialize_sql", "select json_serialize_sql('select 1')"),
    ("json_serialize_plan", "select json_serialize_plan('select * from read_parquet(''{other}'')')"),
    ("json_deserialize_sql", "select json_deserialize_sql('{{}}')"),
    ("getenv", "select getenv('HOME')"),
    ("getvariable", "select getvariable('x')"),
    ("current_setting", "select current_setting('allowed_paths')"),
    ("current_setting, qualified", "select main.current_setting('allowed_paths')"),
    ("current_setting as a method", "select 'allowed_paths'.current_setting()"),
    ("current_setting in a lambda", "select list_transform(['allowed_paths'], lambda x: current_setting(x))"),
    ("current_query", "select current_query()"),
    ("write_log", "select write_log('x')"),
    ("sleep", "select sleep_ms(100000)"),
    ("pg_sleep", "select pg_sleep(100)"),
    ("setseed", "select setseed(0.5)"),
    ("nextval", "select nextval('s')"),
    ("pg_get_viewdef", "select pg_get_viewdef(1)"),
    ("duckdb_views", "select sql from duckdb_views()"),
    ("duckdb_views as a view", "select sql from duckdb_views"),
    ("duckdb_settings", "select * from duckdb_settings()"),
    ("duckdb_secrets", "select * from duckdb_secrets()"),
    ("duckdb_external_file_cache", "select * from duckdb_external_file_cache()"),
    ("duckdb_temporary_files", "select * from duckdb_temporary_files()"),
    ("duckdb_logs", "select * from duckdb_logs"),
    ("pragma function", "select * from pragma_database_list()"),
    ("pragma_show", "select * from pragma_show('spans')"),
    ("pragma view", "select * from pragma_database_list"),
    ("enable_logging", "select * from enable_logging()"),
    ("checkpoint function", "select * from checkpoint()"),
    ("register_external_resource", "select * from register_external_resource('x')"),
    ("seq_scan", "select * from seq_scan('spans')"),
    ("test_all_types", "select * from test_all_types()"),
    ("which_secret", "select * from which_secret('x', 'http')"),
    ("information_schema", "select * from information_schema.tables"),
    ("sqlite_master", "select * from sqlite_master"),
    ("sqlite_master in a scalar subquery", "select (select sql from sqlite_master limit 1)"),
    ("pg_catalog", "select * from pg_catalog.pg_class"),
    ("pg_class", "select * from pg_class"),
    ("a view with its schema", "select * from main.spans"),
    ("a view with its catalogue", "select * from memory.main.spans"),
    ("temp schema", "select * from temp.main.spans"),
    ("time travel", "select * from spans at (version => 1)"),
    ("show tables", "show tables"),
    ("show all tables", "show all tables"),
    ("show databases", "show databases"),
    ("show in FROM", "select * from (show tables)"),
    ("describe a setting", "describe memory_limit"),
    ("a Python variable", "select * from attack_table"),
    ("a file URL", "select * from 'file:///etc/passwd'"),
    ("an HTTP URL", "select * from 'http://127.0.0.1:9/x.parquet'"),
    ("a bucket", "select * from read_parquet('s3://bucket/x.parquet')"),
    ("a type of another schema", "select 1::main.foo"),
    ("a locale's collation", "select name collate de from spans"),
]  # fmt: skip


def places(attacked):
    """Paths that the attacks name."""
    files = {
        tenant: next(attacked.lake.table("spans").glob(f"tenant_id={tenant}/*/*.parquet"))
        for tenant in ("acme", "globex")
    }
    return {
        "file": files["acme"],
        "other": files["globex"],
        "outside": attacked.lake.path / "outside.csv",
        "spill": next(path for path in attacked.lake.spill.iterdir() if path.is_dir()),
    }


def fingerprints(attacked):
    """Digest of every file of the lake, spilled ones aside."""
    return {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in attacked.lake.path.rglob("*")
        if file.is_file() and attacked.lake.spill not in file.parents
    }


@pytest.fixture(scope="module")
def acme(two_tenants):
    """A session of acme's, open for the whole table of attacks, so that none can prepare another."""
    with two_tenants.session("acme") as session:
        yield session


@pytest.mark.parametrize("sql", [sql for _, sql in ATTACKS], ids=[name for name, _ in ATTACKS])
def test_attacks_are_refused_before_they_run(two_tenants, acme, sql):
    """Each attack is refused by the guard, changes no file, and its error holds nothing of the other tenant."""
    attack_table = {"a": [two_tenants.canary]}
    before = fingerprints(two_tenants)
    with pytest.raises(QueryError) as caught:
        acme.query(sql.format(**places(two_tenants)))
    assert not str(caught.value).startswith("query failed"), "the guard let it through to the engine"
    assert two_tenants.canary not in str(caught.value)
    assert attack_table
    assert fingerprints(two_tenants) == before


BEHIND_THE_GUARD = [
    ("another's file", "select * from read_parquet('{other}')"),
    ("another's file by path", "select * from '{other}'"),
    ("a folder", "select * from glob('{outside}*')"),
    ("text", "select * from read_text('{outside}')"),
    ("text by a climbing path", "select * from read_text('{file}/../../../../../../outside.csv')"),
    ("csv", "select * from read_csv('{outside}')"),
    ("environment", "select * from read_blob('/proc/self/environ')"),
    ("a Python variable", "select * from attack_table"),
    ("a serialized plan", "select json_serialize_plan('select * from read_text(''{outside}'')') as p"),
    ("a query in text", "select * from query('select * from read_text(''{outside}'')')"),
    ("a URL", "select * from read_parquet('http://127.0.0.1:9/x.parquet')"),
]


@pytest.mark.parametrize("sql", [sql for _, sql in BEHIND_THE_GUARD], ids=[name for name, _ in BEHIND_THE_GUARD])
def test_the_second_wall_holds_without_the_first(two_tenants, acme, sql):
    """Even a query that never met the guard opens no file but the session's own."""
    attack_table = {"a": [two_tenants.canary]}
    try:
        rows = acme.run_trusted(sql.format(**places(two_tenants))).to_pylist()
    except QueryError:
        return
    assert attack_table
    assert two_tenants.canary not in str(rows)


LOCKED = ["set enable_external_access = true", "set allowed_paths = ['/']", "set temp_directory = '/'", "set threads = 64",
          "set memory_limit = '1TB'", "reset lock_configuration", "set python_enable_replacements = true"]  # fmt: skip


@pytest.mark.parametrize("sql", LOCKED)
def test_the_configuration_is_locked(acme, sql):
    """No setting can be changed in a session's connection, whoever tries."""
    with pytest.raises(duckdb.Error, match=r"locked|while database is running|Cannot"):
        acme._connection.cursor().execute(sql)


ALLOWED = [
    "from spans",
    "select name, count(*) from spans group by all order by all",
    "with w as (select * from spans), x as (select name from w) select * from x union all select name from spans",
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select * from r",
    "with spans as (select * from spans where name = 'chat') select count(*) from spans",
    "select quantile_cont(duration_ns, 0.95), approx_quantile(duration_ns, 0.5) from spans group by agent_id",
    "select attributes ->> '$.x', json_extract_string(resource, '$.y') from spans",
    "select row_number() over (partition by name order by time) as n from spans qualify n = 1",
    "select * from spans join logs using (tenant_id) left join audit_events a on a.trace_id = spans.trace_id",
    "select range from range(3), generate_series(1, 2), unnest([1, 2])",
    "select date_trunc('hour', time), time + interval 1 day, time at time zone 'UTC', extract(hour from time) from spans",
    "select name.upper(), list_transform([1, 2], lambda x: x + 1), [y * 2 for y in [1, 2]], {'a': 1}.a from spans",
    "select * exclude (salt) replace (upper(name) as name) from spans order by name collate nocase limit 10%",
    "select columns('.*_tokens') from spans",
    "select name like 'c%', name ilike 'C%', name similar to 'c.*', name ~ 'c', name in ('a'), name between 'a' and 'b' from spans",
    "select case when input_tokens > 1 then 'many' end, coalesce(input_tokens, 0), try_cast(name as int) from spans",
    "select * from spans tablesample 50%",
    "pivot spans on name in ('chat') using count(*)",
    "unpivot (select input_tokens, output_tokens from spans) on input_tokens, output_tokens into name n value v",
    "values (1, 'a'), (2, 'b')",
    "describe spans",
    "summarize select name, input_tokens from spans",
    "select count(*) from spans where trace_id = ?",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_people_ask_runs(acme, sql):
    """The guard lets the SQL of everyday questions through."""
    assert acme.query(sql, ["a"] if "?" in sql else None).num_columns


def test_no_query_over_all_views_shows_the_other_tenant(two_tenants, acme):
    """Everything that acme's session can select holds no canary of globex's."""
    for view in sorted(acme.tables):
        assert two_tenants.canary not in str(acme.query(f"select * from {view}").to_pylist())
