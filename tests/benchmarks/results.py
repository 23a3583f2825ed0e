"""Figures of a benchmark as they are kept: JSON with the command, the machine and the versions, and a picture."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "benchmarks"
_DRAW = Path(__file__).parent / "peers" / "draw.py"
_LIBRARIES = ("duckdb", "pyarrow", "numpy", "pyruhvro", "fastavro", "confluent-kafka")


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One contestant: medians of its runs, the most memory of any, and ratios within a round."""

    name: str
    guarantee: str
    events_a_second: float
    cpu_seconds_a_million: float
    memory_mb: float
    to_drain: float
    touchlog_is_faster: float
    touchlog_cpu: float
    rows: Mapping[str, int]
    void: bool


def save(
    name: str, command: str, shape: Mapping[str, int], results: Sequence[Result], runs: Mapping[str, Any], python: Path
) -> None:
    """Write `docs/benchmarks/NAME.json` and `.png`; `python` has what draws."""
    FOLDER.mkdir(exist_ok=True)
    told = {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{one: version(one) for one in _LIBRARIES}},
        "peers": (_DRAW.parent / "requirements.txt").read_text("utf-8").splitlines()[1:],
        "shape": dict(shape),
        "results": [asdict(one) for one in results],
        "runs": dict(runs),
    }
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    subprocess.run([str(python), str(_DRAW), str(path), str(path.with_suffix(".png"))], check=True)


def machine() -> str:
    """Processor, cores, memory, system."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or "unknown processor",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []
