"""The 98 inclusion and 98 consistency vectors of transparency-dev/merkle."""

import base64
import json
import os
from pathlib import Path

import pytest

from warehouse.ledger.errors import ProofError
from warehouse.ledger.proofs import verify_consistency, verify_inclusion

CORPUS = (
    Path(os.environ.get("MUNIMENT_CORPUS") or Path(__file__).resolve().parents[2].parent / "shared" / "data") / "merkle"
)
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"Merkle vectors are not at {CORPUS}: set MUNIMENT_CORPUS")

VECTORS = sorted(CORPUS.glob("*/**/*.json"))


def hashes(values):
    """Bytes of base64 texts; the vectors write an empty list as null."""
    return [base64.b64decode(value) for value in values or ()]


def check(kind, vector):
    """Run the verifier on one vector."""
    if kind == "inclusion":
        leaf, root = hashes([vector["leafHash"], vector["root"]])
        verify_inclusion(
            leaf, index=vector["leafIdx"], size=vector["treeSize"], proof=hashes(vector["proof"]), root=root
        )
        return
    old_root, new_root = hashes([vector["root1"], vector["root2"]])
    verify_consistency(
        old_size=vector["size1"],
        new_size=vector["size2"],
        old_root=old_root,
        new_root=new_root,
        proof=hashes(vector["proof"]),
    )


def test_all_vectors_are_there():
    """The folder holds as many vectors as its manifest says."""
    kinds = [file.relative_to(CORPUS).parts[0] for file in VECTORS]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"inclusion": 98, "consistency": 98}


@pytest.mark.parametrize("file", VECTORS, ids=lambda file: str(file.relative_to(CORPUS).with_suffix("")))
def test_vector(file):
    """A vector passes exactly where it says so."""
    vector = json.loads(file.read_text())
    kind = file.relative_to(CORPUS).parts[0]
    if vector["wantErr"]:
        with pytest.raises(ProofError):
            check(kind, vector)
    else:
        check(kind, vector)
