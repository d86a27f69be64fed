"""OpenSLO files: the samples of others parse, and whatever is wrong is named with its file, line and key."""

from pathlib import Path

import pytest

from pipelines.slo.policy_compiler import compile_policy, default_policy, read_policy
from warehouse.policies import Bundle, PolicyError, read_files

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "slo" / "openslo"
GOOD = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: checkout
spec:
  service: shop
  indicator:
    metadata: {name: checkout}
    spec:
      ratioMetric:
        rawType: success
        raw:
          metricSource:
            type: muniment
            spec:
              sql: select time_unix_nano, shard, log_index, true as good from spans
  timeWindow:
    - duration: 30d
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - displayName: all
      target: 0.99
  alertPolicies:
    - kind: AlertPolicy
      metadata: {name: pages}
      spec:
        conditions:
          - kind: AlertCondition
            metadata: {name: fast}
            spec:
              severity: page
              condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h}
"""


def compiled(text):
    return compile_policy(Bundle("slo", {"a.yaml": text}))


def sample(name):
    return read_policy(read_files("slo", [SAMPLES / name]))


def test_the_samples_of_openslo_parse():
    """Methods, windows, targets and time slices are read as written; what asks another system is named, and nothing else."""
    (occurrences,) = sample("budgeting-method/occurences-slo.yaml")[0].slos
    (objective,) = occurrences.objectives
    assert (occurrences.method, str(occurrences.window), objective.target) == ("Occurrences", "14d rolling", 0.99)
    assert (objective.series.operator, objective.series.value) == ("lt", 500)
    (ratio,) = sample("budgeting-method/ratio-timeslices.yaml")[0].slos
    assert (ratio.method, ratio.objectives[0].slice_seconds, ratio.objectives[0].strict) == (
        "RatioTimeslices",
        60,
        True,
    )
    (slices,) = sample("budgeting-method/timeslices-slo.yaml")[0].slos
    assert str(slices.window) == "1M from 2022-01-01 12:00 America/New_York"
    assert [(each.name, each.target, each.slice_target) for each in slices.objectives] == [
        ("Internal objective", 0.995, 0.99),
        ("SLA", 0.99, 0.99),
    ]
    (weekly,) = sample("treat-low-traffic-as-equally-important/timeslices-slo.yaml")[0].slos
    assert (str(weekly.window), weekly.objectives[0].target) == ("7d from 2022-01-01 12:00 America/New_York", 0.9995)


@pytest.mark.parametrize("file", sorted(SAMPLES.rglob("*.yaml")), ids=lambda file: file.name)
def test_what_a_sample_asks_another_system_is_named(file):
    """No sample has a problem; each source of another system and each of its keys is named, and applying is refused."""
    policy, problems, foreign = read_policy(read_files("slo", [file]))
    assert not problems
    sources = file.read_text().count("type: Any")
    assert len(foreign) == 2 * sources
    assert {each.key.rpartition(".")[2] for each in foreign} == {"type", "query"}
    assert not any(slo.is_computable for slo in policy.slos)
    with pytest.raises(PolicyError, match="which cannot be asked here"):
        compile_policy(read_files("slo", [file]))


def test_what_comes_with_the_package_compiles():
    """Fifteen indicators, each with an SLO; the one that is watched pages nobody."""
    policy = default_policy()
    assert len(policy.slos) == 15
    assert {objective.series.indicator.name for slo in policy.slos for objective in slo.objectives} == {
        slo.name for slo in policy.slos
    }
    assert [slo.name for slo in policy.slos if slo.watched] == ["policy-denials"]
    assert [slo.name for slo in policy.slos if not slo.policies] == ["policy-denials"]


def test_several_documents_keep_their_lines():
    """What is wrong in a later document of a file is named with the file's line."""
    text = (
        "# first\n---\n" + GOOD + "---\n" + GOOD.replace("name: checkout\nspec", "name: Two\nspec").replace("0.99", "1")
    )
    with pytest.raises(PolicyError) as caught:
        compiled(text)
    lines = text.split("\n")
    for problem in caught.value.problems:
        assert problem.key.rpartition(".")[2].partition("[")[0] in lines[problem.line - 1]
    assert [problem.key for problem in caught.value.problems] == ["metadata.name", "spec.objectives[0].target"]


COUNTED_UNDER = [
    ("complete-evidence", "03ea7ec23c4d122b"),
    ("task-success", "aec099441b68ed45"),
    ("tool-calls", "e36222c991e1594e"),
]


@pytest.mark.parametrize(("indicator", "digest"), COUNTED_UNDER)
def test_what_was_counted_stays_counted(indicator, digest):
    """The hashes of indicators that come with the package: with another one every window of every lake would be counted anew."""
    hashes = {
        objective.series.indicator.name: objective.series.query_hash
        for slo in default_policy().slos
        for objective in slo.objectives
    }
    assert hashes[indicator].startswith(digest)


CASES = [
    ("unknown key", ("  service: shop", "  service: shop\n  owner: me"), 7, "spec.owner", "got an unknown key"),
    ("unsupported key", ("      target: 0.99", "      target: 0.99\n      compositeWeight: 2"), 24, "spec.objectives[0].compositeWeight", "not supported"),
    ("missing service", ("  service: shop\n", ""), 5, "spec.service", "got nothing, expected this key"),
    ("target of one", ("target: 0.99", "target: 1.0"), 23, "spec.objectives[0].target", "has no error budget"),
    ("method", ("Occurrences", "Guesses"), 20, "spec.budgetingMethod", "expected Occurrences, Timeslices, RatioTimeslices"),
    ("window", ("30d", "1x"), 18, "spec.timeWindow[0].duration", "got '1x', expected a number and"),
    ("neither rolling nor calendar", ("isRolling: true", "isRolling: false"), 18, "spec.timeWindow[0]", "got neither of isRolling"),
    ("slices with occurrences", ("      target: 0.99", "      target: 0.99\n      timeSliceWindow: 1m"), 24, "spec.objectives[0].timeSliceWindow", "has no time slices"),
    ("value of a ratio", ("      target: 0.99", "      target: 0.99\n      value: 3"), 24, "spec.objectives[0].value", "its rows say which are good"),
    ("not SQL", ("select time_unix_nano, shard, log_index, true as good from spans", "drop table spans"), 16, "spec.indicator.spec.ratioMetric.raw.metricSource.spec.sql", "expected a statement of type SELECT"),
    ("a path", ("from spans", "from read_parquet('x')"), 16, "spec.indicator.spec.ratioMetric.raw.metricSource.spec.sql", "table function read_parquet"),
    ("only what is there", ("from spans", "from all_spans"), 16, "spec.indicator.spec.ratioMetric.raw.metricSource.spec.sql", "they hold what is new"),
    ("a derived table", ("from spans", "from slo_windows"), 16, "spec.indicator.spec.ratioMetric.raw.metricSource.spec.sql", "table slo_windows"),
    ("counter", ("        rawType: success", "        rawType: success\n        counter: true"), 12, "spec.indicator.spec.ratioMetric.counter", "not supported"),
    ("another version", ("openslo/v1", "openslo/v1alpha"), 1, "apiVersion", "expected openslo/v1"),
    ("another kind", ("kind: SLO", "kind: DataSource"), 2, "kind", "the kind DataSource of OpenSLO is not supported"),
    ("annotation", ("  name: checkout\nspec", "  name: checkout\n  annotations:\n    muniment/floor: '1'\nspec"), 6, "metadata.annotations.muniment/floor", "got an unknown annotation"),
    ("condition never reached", ("target: 0.99", "target: 0.9"), 25, "spec.alertPolicies[0]", "1 / (1 - 0.9) = 10"),
    ("short window", ("lookbackWindow: 1h", "lookbackWindow: 30m"), 33, "spec.alertPolicies[0].spec.conditions[0].spec.condition.lookbackWindow", "a multiple of 5m"),
    ("no policy of that name", ("    - kind: AlertPolicy", "    - gone\n    - kind: AlertPolicy"), 25, "spec.alertPolicies[0]", "'gone', which is not defined"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "line", "key", "message"), CASES, ids=[case[0] for case in CASES])
def test_what_is_wrong_is_named(name, change, line, key, message):
    """One change to a good file gives a problem with its line, key, and what was expected."""
    assert compiled(GOOD).slos[0].name == "checkout"
    old, new = change
    assert GOOD.count(old) >= 1
    with pytest.raises(PolicyError) as caught:
        compiled(GOOD.replace(old, new, 1))
    found = [(problem.line, problem.key) for problem in caught.value.problems if message in problem.message]
    assert found == [(line, key)], [str(problem) for problem in caught.value.problems]


def test_a_refused_factor_comes_with_its_derivation():
    """Below a target of 93.06 % the factor 14.4 cannot be reached; at 93.1 % it can."""
    with pytest.raises(PolicyError, match=r"where every event is bad the burn rate is 1 / \(1 - 0.93\) = 14.29"):
        compiled(GOOD.replace("0.99", "0.93"))
    assert compiled(GOOD.replace("0.99", "0.931")).slos[0].policies[0].conditions[0].threshold == 14.4


def test_maintenance_is_data():
    """Planned maintenance is an object of ours, on whole windows, with a zone, for the SLOs and tenants it names."""
    planned = (
        "apiVersion: muniment/v1\nkind: Maintenance\nmetadata: {name: move}\n"
        "spec: {from: 2026-11-08T02:00:00Z, to: 2026-11-08T04:00:00Z, reason: new disks, slos: [checkout]}\n"
    )
    (found,) = compiled(GOOD + "---\n" + planned).maintenance
    assert found.concerns("checkout", "acme")
    assert not found.concerns("other", "acme")
    for wrong, said in (("02:00:00Z", "02:03:00Z"), ("02:00:00Z", "05:00:00Z"), ("02:00:00Z", "02:00:00")):
        with pytest.raises(PolicyError, match=r"whole five minutes|later time|with its zone"):
            compiled(GOOD + "---\n" + planned.replace(wrong, said, 1))
