"""Draws docs/images/photographs.svg from the runs of experiment.py: recall of the birds by arm, with 95 % intervals of the mean.

    python tests/real/picture.py
"""

import argparse
import html
import math
import pathlib
import statistics

import experiment

# Name in the results, and what it is called in the picture.
ARMS = {"natural": "images as they are", "oversample": "balanced batches", "adjusted": "adjusted logits (the default)"}
COLOURS = ["#8a8f98", "#2b6cb0", "#c05621"]
PANELS = {"birds-5": "5 birds : 200 others", "birds-20": "20 birds : 200 others"}
WIDTH, HEIGHT, LEFT, TOP, PANEL, BASE = 760, 330, 60, 48, 330, 250


def estimate(runs, rare):
    """Mean recall in percent and half of its interval, and mean balanced accuracy."""
    recalls = [100 * run["recall"][rare] for run in runs]
    half = experiment.T[len(recalls) - 1] * statistics.stdev(recalls) / math.sqrt(len(recalls))
    return statistics.mean(recalls), half, 100 * statistics.mean(run["balanced_accuracy"] for run in runs)


def text(x, y, words, size=13, anchor="middle", weight="normal"):
    return f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="#2d3748">{html.escape(words)}</text>'


def picture(options):
    y = lambda percent: BASE - (BASE - TOP) * percent / 100
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for percent in range(0, 101, 25):
        parts += [f'<path d="M{LEFT} {y(percent)}H{WIDTH - 20}" stroke="#e2e8f0"/>', text(LEFT - 8, y(percent) + 4, f"{percent} %", 12, "end")]
    for panel, (name, title) in enumerate(PANELS.items()):
        data = experiment.chosen(name, experiment.DATA)[0]
        left = LEFT + 20 + panel * (PANEL + 10)
        parts.append(text(left + PANEL / 2 - 20, TOP - 18, title, 15, weight="bold"))
        runs = [run for run in experiment.finished(options, data) if (run["network"], run["body"], run["size"]) == ("lite0", "fitted", data.size)]
        for index, arm in enumerate(ARMS):
            mean, half, balanced = estimate([run for run in runs if run["arm"] == arm], data.rare)
            x, low, high = left + 10 + index * 100, max(mean - half, 0), min(mean + half, 100)
            parts += [
                f'<rect x="{x}" y="{y(mean):.1f}" width="60" height="{BASE - y(mean):.1f}" fill="{COLOURS[index]}"/>',
                f'<path d="M{x + 30} {y(low):.1f}V{y(high):.1f}M{x + 22} {y(low):.1f}h16M{x + 22} {y(high):.1f}h16" stroke="#1a202c" fill="none"/>',
                text(x + 30, BASE + 18, f"{mean:.0f} %", 14, weight="bold"),
                text(x + 30, BASE + 35, f"balanced {balanced:.1f}", 11),
            ]
    for index, words in enumerate(ARMS.values()):
        x = LEFT + 20 + index * 220
        parts += [f'<rect x="{x}" y="{HEIGHT - 28}" width="14" height="14" fill="{COLOURS[index]}"/>', text(x + 20, HEIGHT - 16, words, 13, "start")]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, *parts, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=pathlib.Path, default="runs/real")
    parser.add_argument("--out", type=pathlib.Path, default="docs/images/photographs.svg")
    options = parser.parse_args()
    options.out.write_text(picture(options))


if __name__ == "__main__":
    main()
