"""A lake for tests of SLOs: spans written as segments of shards, and one SLO over whether they failed."""

import datetime as dt
import importlib.util
from pathlib import Path

from pipelines.slo.compute import compute_tenant, list_records
from pipelines.slo.policy_compiler import compile_policy
from warehouse.derived.slo_windows import SLO_WINDOWS
from warehouse.derived.store import DerivedStore
from warehouse.policies import Bundle
from warehouse.query import QuerySettings

MINUTE = 60_000_000_000
SETTINGS = QuerySettings(memory_limit_mib=256)
SQL = "select time_unix_nano, shard, log_index, status_code = 'OK' as good from spans"
SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: checkout
  annotations: {{muniment/minimum-events: "{minimum}"}}
spec:
  service: shop
  indicator:
    metadata: {{name: checkout}}
    spec:
      ratioMetric:
        rawType: success
        raw:
          metricSource:
            type: muniment
            spec: {{settle: {settle}, sql: "{sql}"}}
  timeWindow: [{{duration: 30d, isRolling: true}}]
  budgetingMethod: {method}
  objectives: [{{displayName: all, target: {target}{more}}}]
  alertPolicies:
    - kind: AlertPolicy
      metadata: {{name: pages}}
      spec:
        conditions:
          - kind: AlertCondition
            metadata: {{name: fast}}
            spec: {{severity: page, condition: {{kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h}}}}
"""


def slo_policy(*, method="Occurrences", target=0.99, more="", sql=SQL, settle="5m", minimum=1, besides=""):
    """One SLO, compiled; `more` goes into its objective, `besides` after it."""
    text = SLO.format(method=method, target=target, more=more, sql=sql, settle=settle, minimum=minimum)
    if settle is None:
        text = text.replace("settle: None, ", "")
    return compile_policy(Bundle("slo", {"a.yaml": text + besides}))


class SloLake:
    """What `tests/integration/query` writes lakes with, and SLOs counted on it."""

    def __init__(self, folder):
        file = Path(__file__).parent / "integration" / "query" / "conftest.py"
        specification = importlib.util.spec_from_file_location("query_lake_writer", file)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        self.written = module.QueryLake(folder)
        self.lake = self.written.lake
        self.noon = module.NOON
        self._segments = {}

    def write(self, *spans, shard="main-1a2b3c4d", tenant="acme", table="spans"):
        """Write spans, (minutes after noon, status) or dicts, as the shard's next segment."""
        self._segments[shard] = self._segments.get(shard, 0) + 1
        made = [span if isinstance(span, dict) else {"at": span[0], "status_code": span[1]} for span in spans]
        rows = [self._row(dict(span)) for span in made]
        return self.written.write(table, rows, tenant=tenant, segment=self._segments[shard], shard=shard)

    def _row(self, span):
        time = self.noon + int(span.pop("at", 0) * MINUTE)
        day = dt.datetime.fromtimestamp(time // 1_000_000_000, dt.UTC).date()
        return {"time_unix_nano": time, "day": day, "received_unix_nano": time} | span

    def compute(self, policy, *, at=60, tenant="acme", settled=False):
        """Count what is new at `at` minutes after noon."""
        return compute_tenant(
            self.lake, tenant, policy.series_for(tenant), principal=self.written.principal, settings=SETTINGS,
            now_unix_nano=self.noon + int(at * MINUTE), files=list_records(self.lake, [tenant])[tenant], settled=settled,
        )  # fmt: skip

    def rows(self, tenant="acme"):
        """Rows of `slo_windows`."""
        return DerivedStore(self.lake, SLO_WINDOWS).read(tenant)

    def windows(self, tenant="acme"):
        """(minutes after noon, total, good, not valid) of each window, over all shards."""
        found = {}
        for row in self.rows(tenant).to_pylist():
            at = (row["time_unix_nano"] - self.noon) // MINUTE
            was = found.get(at, (0, 0, 0))
            found[at] = (was[0] + row["total"], was[1] + row["good"], was[2] + row["not_valid"])
        return sorted((at, *counts) for at, counts in found.items())
