#!/usr/bin/env python3
"""render.py FIGURES FOLDER COMMIT DISK TREE: turns the figures of one sitting into results.json, results.md and ratios.svg.

FIGURES has lines "system metric value"; a metric that was measured more than once counts with its median. Ratios are to
ext4, and such that more is better; times are given as multiples of ext4's, where less is better. The table goes to the
standard output, too.
"""
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from html import escape

BASE, OURS = "ext4", "kvfs"

# Metric, name, divisor and digits for showing it, goal for our ratio to ext4 (None: only shown), whether it is a time.
METRICS = [
    ("seqwrite_KBps", "sequential write + fsync, MB/s", 1000, 0, 0.30, False),
    ("seqread_cold_KBps", "sequential read, cold, MB/s", 1000, 0, 0.90, False),
    ("randread4k_direct_iops", "4K random read, direct, 2 jobs, IOPS", 1, 0, 0.40, False),
    ("randwrite4k_fsync_iops", "4K random write + fsync each, IOPS", 1, 0, 0.45, False),
    ("randwrite4k_direct4_iops", "4K random write, direct, 4 jobs, IOPS", 1, 0, 0.30, False),
    ("create4k_per_s", "create + write 4 KiB + close, /s", 1, 0, 0.12, False),
    ("stat_per_s", "stat, /s", 1, 0, 0.10, False),
    ("read4k_cold_per_s", "open + read 4 KiB, cold, /s", 1, 0, 0.08, False),
    ("rename_per_s", "rename, /s", 1, 0, 0.12, False),
    ("unlink_per_s", "unlink, /s", 1, 0, 0.12, False),
    ("untar_s", "unpack the tree + sync, s", 1, 2, 5.0, True),
    ("settle_s", "then fsync of the root, s", 1, 2, None, True),
    ("find_s", "find in the tree, s", 1, 2, None, True),
    ("tarread_cold_s", "read the tree, cold, s", 1, 2, None, True),
    ("rmrf_s", "rm -rf the tree, s", 1, 2, 2.0, True),
]
MEMORY_METRIC, MEMORY_GOAL_MIB = "memory_MiB", 600
COLORS = {"kvfs": "#0b6e99", "kvfs3": "#5fb0cf", "moosefs": "#c8841a", "glusterfs": "#7a4f9a"}


def read_figures(path):
    """{system: {metric: median}}, systems in the order of their first line."""
    samples = {}
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        system, metric, value = line.split()
        samples.setdefault(system, {}).setdefault(metric, []).append(float(value))
    return {
        system: {metric: statistics.median(values) for metric, values in metrics.items()}
        for system, metrics in samples.items()
    }


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def describe_machine(disk):
    info = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    memory = pathlib.Path("/proc/meminfo").read_text(encoding="utf-8").split()[1]
    model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "unknown")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_GiB": round(int(memory) / 2**20),
        "kernel": platform.release(),
        "dotnet": output_of("dotnet", "--version"),
        "file system": output_of("findmnt", "-n", "-o", "FSTYPE", "-T", disk),
        "load_15min": os.getloadavg()[2],
    }


def describe_tree(tree):
    return f"{len(output_of('tar', 'tf', tree).splitlines())} entries, {os.path.getsize(tree) / 1e6:.0f} MB"


def ratio(figures, system, metric):
    ours, base = figures.get(system, {}).get(metric), figures.get(BASE, {}).get(metric)
    return ours / base if ours is not None and base else None


def reached(value, goal, is_time):
    return value <= goal if is_time else value >= goal


def table(figures):
    """A Markdown table: each system's figure, and in brackets its ratio to ext4."""
    others = [system for system in figures if system != BASE]
    rows = [f"| {' | '.join(['metric', BASE, *others, 'goal of kvfs'])} |", "| --- |" + " ---: |" * (len(others) + 2)]
    for metric, name, divisor, digits, goal, is_time in METRICS:
        cells = []
        for system in [BASE, *others]:
            value = figures.get(system, {}).get(metric)
            part = ratio(figures, system, metric)
            text = "–" if value is None else f"{value / divisor:.{digits}f}"
            cells.append(text if system == BASE or part is None else f"{text} ({part:.2f})")
        ours = ratio(figures, OURS, metric)
        wish = "" if goal is None else f"{'≤' if is_time else '≥'} {goal:.2f}"
        if goal is not None and ours is not None:
            wish += " reached" if reached(ours, goal, is_time) else " **missed**"
        rows.append(f"| {name} | " + " | ".join(cells) + f" | {wish} |")
    memory = figures.get(OURS, {}).get(MEMORY_METRIC)
    if memory is not None:
        verdict = "reached" if memory <= MEMORY_GOAL_MIB else "**missed**"
        cells = [f"{memory:.0f}" if system == OURS else "–" for system in [BASE, *others]]
        rows.append("| memory at most, MiB | " + " | ".join(cells) + f" | ≤ {MEMORY_GOAL_MIB} {verdict} |")
    return "\n".join(rows)


def picture(figures, title):
    """Bars of how fast each system is beside ext4, on a logarithmic axis; a time counts by its inverse."""
    systems = sorted((system for system in figures if system != BASE), key=lambda system: system != OURS)
    left, width, bar, gap, top = 290, 520, 12, 12, 74
    low, high = 0.001, 2.0
    height = top + len(METRICS) * (len(systems) * bar + gap) + 56

    def place(value):
        share = (math.log10(min(max(value, low), high)) - math.log10(low)) / (math.log10(high) - math.log10(low))
        return left + share * width

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 70}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="15" font-weight="600" fill="#1b1f24">{escape(title)}</text>',
    ]
    for index, system in enumerate(systems):
        x = 16 + index * 110
        parts.append(f'<rect x="{x}" y="36" width="12" height="12" fill="{COLORS.get(system, "#666666")}"/>')
        parts.append(f'<text x="{x + 18}" y="46" fill="#1b1f24">{escape(system)}</text>')
    x = 16 + len(systems) * 110
    parts.append(f'<path d="M{x + 6} 35v14" stroke="#1b1f24" stroke-width="2"/>')
    parts.append(f'<text x="{x + 18}" y="46" fill="#1b1f24">goal of kvfs</text>')
    for tick in (0.001, 0.01, 0.1, 1.0):
        parts.append(f'<path d="M{place(tick):.1f} {top - 8}V{height - 46}" stroke="{"#57606a" if tick == 1 else "#d0d7de"}"/>')
        parts.append(f'<text x="{place(tick):.1f}" y="{height - 30}" text-anchor="middle" fill="#57606a">{tick:g}</text>')
    parts.append(
        f'<text x="{left + width / 2}" y="{height - 10}" text-anchor="middle" fill="#57606a">'
        "times the speed of ext4, logarithmic; further right is faster</text>"
    )
    y = top
    for metric, name, _, _, goal, is_time in METRICS:
        middle = y + len(systems) * bar / 2 + 4
        parts.append(f'<text x="{left - 10}" y="{middle:.1f}" text-anchor="end" fill="#1b1f24">{escape(name)}</text>')
        for index, system in enumerate(systems):
            part = ratio(figures, system, metric)
            if not part:
                continue
            speed = 1 / part if is_time else part
            top_of_bar = y + index * bar
            parts.append(
                f'<rect x="{left}" y="{top_of_bar}" width="{place(speed) - left:.1f}" height="{bar - 2}" '
                f'fill="{COLORS.get(system, "#666666")}"/>'
            )
            parts.append(
                f'<text x="{place(speed) + 5:.1f}" y="{top_of_bar + bar - 3}" font-size="10" fill="#57606a">{speed:.2g}</text>'
            )
        if goal is not None and OURS in systems:
            at = place(1 / goal if is_time else goal)
            parts.append(f'<path d="M{at:.1f} {y - 4}v{bar + 6}" stroke="#1b1f24" stroke-width="2"/>')
        y += len(systems) * bar + gap
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def main():
    figures_path, folder, commit, disk, tree = sys.argv[1:6]
    figures = read_figures(figures_path)
    machine = describe_machine(disk) | {"tree": describe_tree(tree)}
    date = time.strftime("%Y-%m-%d", time.gmtime())
    results = pathlib.Path(folder)
    rows = table(figures)
    facts = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in machine.items())
    (results / "results.json").write_text(
        json.dumps({"date": date, "commit": commit, "machine": machine, "figures": figures}, indent=2) + "\n", encoding="utf-8"
    )
    (results / "ratios.svg").write_text(picture(figures, f"Speed beside ext4 on the same disk ({date}, {commit})"), encoding="utf-8")
    (results / "results.md").write_text(
        f"# {date}, commit {commit}\n\nIn brackets: the ratio to ext4 in the same sitting.\n\n{rows}\n\n"
        f"![Speed beside ext4](ratios.svg)\n\n{facts}\n",
        encoding="utf-8",
    )
    print(f"\n{rows}\n\nbench: {results}/results.md")


if __name__ == "__main__":
    main()
