"""Errors of the ledger.

LedgerError (MunimentError)
├── NoteError (Permanent)          a signed note, checkpoint or key that is not in its format
│   ├── UnknownKeyError              no key that the verifier knows signed it
│   └── BadSignatureError            a known key's signature does not fit
├── ProofError (Permanent)         a proof that is malformed or establishes nothing
├── RecordTextError (Permanent)    a record's text that is not in its format, or rows that have none
├── CertificateError (Permanent)   a purge intent or certificate that is not in its format
└── TileError                      a tile or entry bundle that is not what its path says
    └── MissingTileError             it is not there
"""

from warehouse.errors import MunimentError, Permanent


class LedgerError(MunimentError):
    """Something in or about a log is not as it must be."""


class NoteError(LedgerError, Permanent):
    """A signed note, checkpoint or key that is not in its format."""


class UnknownKeyError(NoteError):
    """No key that the verifier knows signed the note."""


class BadSignatureError(NoteError):
    """A signature by a known key does not fit the note."""


class ProofError(LedgerError, Permanent):
    """A proof that is malformed, or that does not lead to the root."""


class RecordTextError(LedgerError, Permanent):
    """A record's text that is not in its format, or rows of which none can be made."""


class CertificateError(LedgerError, Permanent):
    """A purge intent or certificate that is not in its format."""


class TileError(LedgerError):
    """A tile or entry bundle whose bytes are not what its path says."""


class MissingTileError(TileError):
    """A tile or entry bundle that the tree's size needs is not there."""
