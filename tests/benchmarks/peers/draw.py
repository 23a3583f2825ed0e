"""A benchmark's figures as a picture.

python draw.py throughput.json throughput.png
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def main(source: str, target: str) -> None:
    """Events a second and CPU-seconds a million, side by side, of all that stored something and are not void."""
    told = json.loads(Path(source).read_text("utf-8"))
    shown = [one for one in told["results"] if one["rows"] and not one["void"]]
    names = [one["name"] for one in shown]
    figure, axes = plt.subplots(1, 2, figsize=(11, 0.7 * len(shown) + 1.8), sharey=True)
    for axis, title, column, form in zip(
        axes,
        ("events a second (more is better)", "CPU-seconds a million events (less is better)"),
        ("events_a_second", "cpu_seconds_a_million"),
        ("{:,.0f}", "{:.1f}"),
        strict=True,
    ):
        values = [one[column] for one in shown]
        bars = axis.barh(names, values, color=["#1f5a8c" if "touchlog" in name else "#b8b8b8" for name in names])
        axis.bar_label(bars, [form.format(value) for value in values], padding=3)
        axis.set_title(title, fontsize=10)
        axis.margins(x=0.18)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    figure.text(0.01, 0.01, f"{told['command']}\n{told['machine']}, {told['date']}", fontsize=7, color="#555555")
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
