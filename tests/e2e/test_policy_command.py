"""`muniment policy` on a real lake: what it prints, its exit codes, what is on record afterwards."""

import json

import pytest

from muniment.cli.app import run
from tests.template import init_lake

NO, USAGE = 1, 2
OPEN = "redaction:\n  - {name: open, tenants: ['*'], detectors: {email: keep}}\n"


@pytest.fixture
def lake(tmp_path):
    """A lake as `init` makes it."""
    return init_lake(tmp_path / "lake")


@pytest.fixture
def muniment(lake, capfd):
    """Run a command on the lake: exit code, standard output, standard error."""

    def command(*words):
        capfd.readouterr()
        code = run([*map(str, words), "--lake", str(lake)])
        said = capfd.readouterr()
        return code, said.out, said.err

    return command


def test_a_new_lake_has_the_strict_policy_in_force(lake, muniment):
    """`init` writes and applies the package's policy, once; status and history name it."""
    _, out, _ = muniment("policy", "history", "redaction", "--json")
    (first,) = json.loads(out)
    assert (first["kind"], first["revision"]) == ("redaction", 1)
    assert muniment("init")[1].endswith("nothing changed)\n")
    assert len(json.loads(muniment("policy", "history", "redaction", "--json")[1])) == 1
    shown = json.loads(muniment("policy", "show", "--applied", "--json")[1])
    assert shown["hash"] == first["hash"]
    assert shown["files"]["strict.yaml"] == (lake / "policies/redaction/strict.yaml").read_text(encoding="utf8")
    assert f"revision 1 in force since {first['applied']}" in muniment("status")[1]
    assert json.loads(muniment("status", "--json")[1])["policies"][0]["folder_differs"] is False


def test_a_change_is_checked_shown_recorded_and_applied(lake, muniment):
    """From file to force: check, diff in lines and in words, apply, event; a second apply has nothing to do."""
    (lake / "policies/redaction/strict.yaml").write_text(OPEN)
    code, out, _ = muniment("policy", "check")
    assert (code, "redaction: 1 file fine (sha256:" in out) == (0, True)
    _, out, _ = muniment("policy", "diff")
    assert "+  - {name: open, tenants: ['*'], detectors: {email: keep}}\n" in out
    assert "every other tenant: email mask → keep\n" in out
    assert "the folder differs: `muniment policy diff redaction`" in muniment("status")[1]
    old = json.loads(muniment("policy", "history", "redaction", "--json")[1])[0]["hash"]
    code, out, _ = muniment("policy", "apply", "--yes", "--json")
    answer = json.loads(out)
    assert (code, answer["applied"], answer["revision"], answer["old_hash"]) == (0, True, 2, old)
    code, out, _ = muniment("policy", "apply")
    assert (code, "nothing to apply" in out) == (0, True)
    assert json.loads(muniment("policy", "apply", "--json")[1])["applied"] is False
    query = "select resource_id, policy_version, action, attributes from audit_events where event_name = 'policy.changed' and resource_id = 'redaction' order by time"
    events = json.loads(muniment("sql", query, "--tenant", "_lake", "--format", "json")[1])
    assert [(event["resource_id"], event["policy_version"]) for event in events] == [
        ("redaction", old),
        ("redaction", answer["new_hash"]),
    ]
    assert json.loads(events[1]["attributes"]) == {"muniment.policy.old_hash": old}


def test_apply_asks_or_wants_to_be_told(lake, muniment):
    """Where nobody can be asked, --yes is needed: the diff is shown, nothing is applied, exit code 2."""
    (lake / "policies/redaction/strict.yaml").write_text(OPEN)
    code, out, err = muniment("policy", "apply")
    assert (code, "email mask → keep" in out, "expected --yes" in err) == (USAGE, True, True)
    assert len(json.loads(muniment("policy", "history", "redaction", "--json")[1])) == 1


def test_what_is_wrong_is_printed_by_line_and_not_applied(lake, muniment):
    """`check` answers no with file, line and key; `apply` refuses as bad input and names the same."""
    (lake / "policies/redaction/b.yaml").write_text("redaction:\n  - name: b\n    tenants: [x]\n    default: kep\n")
    wanted = "b.yaml:4: redaction[0].default: got 'kep', expected keep, mask"
    code, out, _ = muniment("policy", "check")
    assert (code, out.startswith(wanted)) == (NO, True)
    code, out, _ = muniment("policy", "check", "redaction", "--json")
    assert (code, json.loads(out)["ok"]) == (NO, False)
    assert json.loads(out)["problems"][0]["line"] == 4
    code, _, err = muniment("policy", "apply", "--yes")
    assert (code, wanted in err) == (USAGE, True)
    assert wanted in muniment("policy", "diff")[1]
    assert len(json.loads(muniment("policy", "history", "redaction", "--json")[1])) == 1


def test_files_are_checked_without_a_lake(tmp_path, capfd):
    """Named files are checked together, wherever they lie; bytes that are no text have a line too."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(OPEN)
    bad.write_bytes(b"redaction:\n  - name: \xff\n")
    assert run(["policy", "check", str(good)]) == 0
    assert run(["policy", "check", "redaction", str(good), str(bad)]) == NO
    assert f"{bad}:2: got the byte 0xff, expected UTF-8" in capfd.readouterr().out
    assert run(["policy", "check", "nothing.yaml"]) == USAGE
    assert "or a file, got 'nothing.yaml'" in capfd.readouterr().err


@pytest.mark.parametrize("words", [("diff",), ("apply", "--yes"), ("show",), ("history",)], ids=" ".join)
def test_a_kind_that_is_none(muniment, words):
    """An unknown kind is bad input, with those that there are."""
    code, _, err = muniment("policy", words[0], "nonsense", *words[1:])
    assert (code, "got 'nonsense'" in err) == (USAGE, True)


def test_show_prints_the_folder(lake, muniment):
    """What `show` prints is the files as they are."""
    (lake / "policies/redaction/strict.yaml").write_text(OPEN)
    code, out, _ = muniment("policy", "show")
    assert (code, out) == (0, f"# -- strict.yaml\n{OPEN}")


def test_a_retention_policy_is_checked_and_applied_like_any_other(lake, muniment):
    """What would be kept for ever, or less than a minimum, is refused by file, line and key; a change is told in words."""
    folder = lake / "policies/retention"
    code, out, _ = muniment("policy", "check", "retention")
    assert (code, out.startswith("retention: 3 files fine (sha256:")) == (0, True)
    (folder / "mine.yaml").write_text("retention:\n  - {name: mine, tables: [spans], tenants: [acme], keep: 30}\n")
    code, out, _ = muniment("policy", "check", "retention")
    assert (code, "mine.yaml:2: retention[0].keep: got P30D, expected P6M or more" in out) == (NO, True)
    (folder / "mine.yaml").write_text((folder / "examples/pci_dss.yaml").read_text(encoding="utf8"))
    code, out, _ = muniment("policy", "apply", "retention", "--yes")
    assert (
        code,
        "rule pci-dss added: keep P1Y1M, then delete: audit_events, logs, spans; tenants payments" in out,
    ) == (0, True)
    (folder / "defaults.yaml").unlink()
    code, _, err = muniment("policy", "apply", "retention", "--yes")
    assert (code, "retention/*.yaml:1: metrics: got no rule that deletes for every record of metrics" in err) == (
        USAGE,
        True,
    )
