"""What the detectors find, what they miss, and what they cost: `python -m benchmarks.redact`, or `redact` of `benchmarks`.

Recall and precision by type on a labelled set of others (read in place, left out where it is absent) and on a generated one;
`redact_score` says what counts. Throughput is CPU time of one core: triggers by Hyperscan over one buffer of all texts, then
`find` of the detectors whose triggers a text holds.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table

from benchmarks import spans
from benchmarks.redact_engine import engine_figures
from benchmarks.redact_score import Score, score, search
from benchmarks.redact_texts import LABELLED, TYPES_OF_LABELS, Sample, corpus_folder, generated, labelled
from benchmarks.results import Figure, show
from benchmarks.texts import TextSource
from collectors.redact.detectors import BY_NAME, DETECTORS
from collectors.redact.detectors.phone import is_international, is_national
from collectors.redact.patterns import Patterns

BARS = {
    "email": (0.95, 0.90),
    "card": (0.95, 0.90),
    "iban": (0.95, 0.90),
    "ssn": (0.95, 0.90),
    "ip": (0.95, 0.90),
    "phone": (0.92, 0.70),
}
"""Least recall and precision."""
TYPES = tuple(sorted(set(TYPES_OF_LABELS.values()), key=[one.name for one in DETECTORS].index))
BAR_MEGABYTES = 4.0
BAR_CLEAN_TEXTS = 100_000.0
BAR_NEEDLESS = 5.0
BAR_APART = 0.05
_CLEAN_BYTES = 400


class TriggerScan:
    """The triggers of all detectors as the engine scans for them, and which texts of a buffer hold which."""

    def __init__(self) -> None:
        started = time.thread_time()
        self._patterns = Patterns(BY_NAME)
        self._patterns.scan_leaves(b"-")
        self.compile_seconds = time.thread_time() - started

    def marked(self, texts: Sequence[bytes]) -> set[tuple[int, int]]:
        """Pairs of the number of a text and of a detector of which it holds a trigger."""
        ends = np.fromiter(accumulate(len(text) + 1 for text in texts), np.int64, len(texts))
        marks = self._patterns.scan_leaves(b"\n".join(texts))
        at = np.searchsorted(ends, marks.ends, side="left")
        return {
            (text, DETECTORS.index(one))
            for text, mask in set(zip(at.tolist(), marks.masks.tolist(), strict=True))
            for one in self._patterns.detectors_of(mask)
        }


def run(*, quick: bool) -> list[Figure]:
    """Recall, precision and throughput."""
    made = generated(500 if quick else 3000)
    found = score(made, [search(sample.text, DETECTORS) for sample in made], TYPES)
    figures = _quality("generated", found, bars=True)
    known = labelled()
    if known is None:
        print(f"redact: {LABELLED} is not in {corpus_folder()}: set MUNIMENT_CORPUS")
    else:
        scores = score(known, [search(sample.text, DETECTORS) for sample in known], TYPES)
        figures += _quality("labelled", scores, bars=True)
        figures += _apart(scores, found)
        _print(scores, found)
    scan = TriggerScan()
    figures.append(
        Figure("redact", "triggers compiled", scan.compile_seconds * 1e3, "ms", note="one of three scanners")
    )
    figures += _throughput(scan, known or made, repeats=3 if quick else 9) + _clean(scan, quick=quick)
    return figures + engine_figures([sample.text for sample in known or made], quick=quick)


def _quality(name: str, scores: dict[str, Score], *, bars: bool) -> list[Figure]:
    figures = []
    for kind, one in scores.items():
        recall, precision = BARS.get(kind, (None, None)) if bars else (None, None)
        note = f"{one.found} of {one.entities} found, {one.right} of {one.matches} matches right"
        figures += [
            Figure("redact", f"{name} set: {kind}, recall", one.recall, "", recall, "≥", note),
            Figure("redact", f"{name} set: {kind}, precision", one.precision, "", precision, "≥"),
        ]
    return figures


def _apart(one: dict[str, Score], other: dict[str, Score]) -> list[Figure]:
    """How far the two sets are apart, over the types with bars."""
    recall = max(abs(one[kind].recall - other[kind].recall) for kind in BARS)
    precision = max(abs(one[kind].precision - other[kind].precision) for kind in BARS)
    return [
        Figure("redact", "sets apart, worst recall", recall, "", BAR_APART),
        Figure("redact", "sets apart, worst precision", precision, "", BAR_APART),
    ]


def _print(known: dict[str, Score], made: dict[str, Score]) -> None:
    table = Table("type", "labelled: recall", "precision", "entities", "generated: recall", "precision", "entities")
    for kind in TYPES:
        cells = [
            text
            for one in (known[kind], made[kind])
            for text in (f"{one.recall:.3f}", f"{one.precision:.3f}", str(one.entities))
        ]
        table.add_row(kind, *cells)
    Console().print(table)


def _throughput(scan: TriggerScan, samples: Sequence[Sample], *, repeats: int) -> list[Figure]:
    """CPU of scan and searches over texts most of which hold something."""
    texts = [sample.text for sample in samples]
    encoded = [text.encode() for text in texts]
    size = sum(map(len, encoded))
    times = []
    for _ in range(repeats):
        is_international.cache_clear()  # what one run learned about numbers must not make the next one faster
        is_national.cache_clear()
        started = time.process_time()
        for text, detector in scan.marked(encoded):
            for _match in DETECTORS[detector].find(texts[text]):
                pass
        times.append(time.process_time() - started)
    rate = size / statistics.median(times) / 1e6
    note = f"{len(texts)} texts of {size / len(texts):.0f} bytes"
    return [Figure("redact", "texts full of hits, a core", rate, "MB/s", BAR_MEGABYTES, "≥", note)]


def _clean(scan: TriggerScan, *, quick: bool) -> list[Figure]:
    """CPU of a scan of texts without hits, and how many of the ingest benchmark's texts are searched in vain."""
    source = TextSource(7)
    drawn = [text.encode() for text in source.texts(4000 if quick else 40_000, words=(60, 80))]
    marked = {text for text, _ in scan.marked(drawn)}
    clean = [text for number, text in enumerate(drawn) if number not in marked]
    times = []
    for _ in range(5):
        started = time.process_time()
        scan.marked(clean)
        times.append(time.process_time() - started)
    size = sum(map(len, clean))
    rate = size / _CLEAN_BYTES / statistics.median(times)
    figures = [Figure("redact", "clean texts of 400 bytes, a core", rate, "a second", BAR_CLEAN_TEXTS, "≥")]
    needless = _needless(scan, _span_texts(400 if quick else 4000))
    return [*figures, Figure("redact", "spans' texts searched in vain", needless * 100, "%", BAR_NEEDLESS)]


def _span_texts(count: int) -> list[str]:
    """The attributes of spans as the ingest benchmark sends them: each text by itself."""
    found: list[str] = []
    for body in spans.requests(count // 8, spans=8, seed=5, now_unix_nano=time.time_ns()):
        request = ExportTraceServiceRequest.FromString(body)
        for span in request.resource_spans[0].scope_spans[0].spans:
            found += [one.value.string_value for one in span.attributes if one.value.HasField("string_value")]
    return found


def _needless(scan: TriggerScan, texts: Sequence[str]) -> float:
    """Share of texts that hold a trigger though nothing is found in them."""
    hit: dict[int, bool] = {}
    for text, detector in scan.marked([text.encode() for text in texts]):
        hit[text] = hit.get(text, False) or any(True for _ in DETECTORS[detector].find(texts[text]))
    return sum(not found for found in hit.values()) / len(texts)


def main() -> int:
    """Run it alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redact", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less of everything")
    figures = run(quick=parser.parse_args().quick)
    show(figures)
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    raise SystemExit(main())
