"""The ledger: a Merkle tree a log, over salted commitments to records, in the C2SP formats.

Modules that only check (`fields`, `tree`, `proofs`, `vkey`, `note`, `checkpoint`, `cosignature`, `columns`, `record`,
`tlog_proof`) import the standard library, `cryptography` and the error classes alone and do no I/O: an outsider's offline
verifier needs nothing else. So nothing is re-exported here: importing one of them must not load Arrow.
"""

__all__: list[str] = []
