"""A lake whose control data lies in a real PostgreSQL server."""

import json

import yaml


def test_control_data_in_postgresql(tmp_path, lake, spans, postgres_database_url):
    """Tenants, keys and shards by URL from a file: the same commands work, and no control.db is made."""
    url_file = tmp_path / "control-url"
    url_file.write_text(postgres_database_url)
    lake.path, lake.apart = tmp_path / "with-postgres", True
    lake.path.mkdir(mode=0o700)
    (lake.path / "muniment.yaml").write_text(yaml.safe_dump({"lake": "pg", "control_url_file": str(url_file)}))
    lake.muniment("init")
    assert not (lake.path / "control.db").exists()
    lake.muniment("tenant", "add", "acme")
    lake.key = json.loads(lake.muniment("key", "issue", "--tenant", "acme", "--json").stdout)["key"]
    collector = lake.collect()
    assert collector.post(spans("pg"))[0] == 200
    assert collector.stop() == 0
    assert lake.sql("select count(*) as n from spans") == [{"n": 8}]
    assert [row["id"] for row in json.loads(lake.muniment("tenant", "list", "--json").stdout)] == ["acme"]
