"""The cost of the diagnosis of a large pipeline."""

import conducto as co
from bench.local.commands import flat
from bench.local.lab import LocalLab
from bench.registry import BenchError
from conducto_core.diagnosis.model import DiagnosisParams

Found = dict[str, float]
_NODES, _FAILURES, _CAUSES = 100_000, 1000, 5
_REQUESTS = 5


def explain_100000(lab: LocalLab) -> Found:
    """Return the agent's CPU time for a diagnosis, and the size of its text."""
    root = co.Parallel(suppress_errors=True)
    root["skipped"] = flat(_NODES - _FAILURES)
    root["skipped"].skip = True
    root["failing"] = co.Parallel()
    for n in range(_FAILURES):
        error = f"OSError: disk {chr(97 + n % _CAUSES)} has {n} bytes left"
        root["failing"][f"n{n:06}"] = co.Exec(f"echo '{error}' >&2; exit 1")
    pipeline = lab.agent.run(root).pipeline
    query = DiagnosisParams(id=pipeline, format="text")
    before = lab.agent.cpu()
    texts = [lab.agent.client.get_diagnosis(query).text or "" for _ in range(_REQUESTS)]
    seconds = (lab.agent.cpu() - before) / _REQUESTS
    if f"{_FAILURES} failed, {_CAUSES} causes" not in texts[-1]:
        raise BenchError(f"not the diagnosis of {pipeline}: {texts[-1][:300]}")
    return {"cpu_ms": 1000 * seconds, "bytes": float(len(texts[-1].encode()))}
