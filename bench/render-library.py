#!/usr/bin/env python3
"""render-library.py FIGURES FOLDER COMMIT DISK: turns what library.sh measured into library.jsonl, library.md and library.svg
(what an operation costs while a drive grows). The tables go to the standard output, too.

FIGURES has lines of JSON; of rows that were measured more than once with the same number of nodes that one counts during which
others used the machine least.
"""
import json
import math
import os
import pathlib
import sys
import time
from html import escape

sys.dont_write_bytecode = True  # The repository has no place for what python keeps.

from render import describe_machine  # noqa: E402

# Row, what it is, aim for operations a second and for the median of a request in microseconds (None: only shown).
ROWS = [
    ("read", "read 4 KiB of an open file", 50_000, 1_000),
    ("open-read", "lookup, open, read 4 KiB, close", None, None),
    ("durable-write", "write 4 KiB + fsync", 10_000, 5_000),
    ("durable-create", "make, write 4 KiB, fsync, close", None, None),
    ("batch", "operations in transactions", 100_000, None),
    ("names", "operations one by one, told together", None, None),
]
CURVES = [
    ("createUs", "create", "#0b6e99"),
    ("lookupUs", "lookup", "#c8841a"),
    ("readUs", "read", "#7a4f9a"),
    ("batchedFileUs", "file with bytes, in transactions of 500", "#3f7d3a"),
]
DASHES = {"growth": "", "one-directory": "6 4"}


def others_share(line):
    """Processors that others had while a row was measured; as far as it is known."""
    return max(line["othersSeconds"], 0) / line["seconds"] if "othersSeconds" in line else line["load"]


def read_figures(path):
    """{(row, nodes, part of it): line}, in the order of their first lines."""
    figures = {}
    for text in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        key = (line["row"], line["nodes"], line.get("what", line.get("files")))
        if key not in figures or others_share(line) <= others_share(figures[key]):
            figures[key] = line
    return figures


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def milliseconds(line, name):
    return f"{line[name] / 1000:.3g}"


def verdict(value, aim, less=False):
    if aim is None:
        return ""
    return " reached" if (value <= aim if less else value >= aim) else " **missed**"


def allowed(line):
    """Operations a second that the processors of this machine would do if they did nothing else."""
    return os.cpu_count() * 1e6 / (line["clientProcessorUs"] + line["nodesProcessorUs"])


def throughput_table(figures):
    rows = [
        "| row | nodes | copies | operations/s | p50, ms | p99, ms | p99.9, ms | processor of client and nodes, µs | "
        "processors allow, /s | others had, processors | to disks, bytes | on the network, bytes | aim |",
        "| --- |" + " ---: |" * 11 + " --- |",
    ]
    for row, name, aim, median_aim in ROWS:
        for line in sorted((line for (kind, _, _), line in figures.items() if kind == row), key=lambda line: line["nodes"]):
            wishes = []
            if aim:
                wishes.append(f"≥ {aim:,}/s{verdict(line['perSecond'], aim)}")
            if median_aim:
                wishes.append(f"p50 ≤ {median_aim / 1000:g} ms{verdict(line['p50Us'], median_aim, less=True)}")
            rows.append(
                f"| {name} | {line['nodes']} | {line['copies']} | {number(line['perSecond'])} | {milliseconds(line, 'p50Us')} | "
                f"{milliseconds(line, 'p99Us')} | {milliseconds(line, 'p999Us')} | "
                f"{line['clientProcessorUs']:.1f} + {line['nodesProcessorUs']:.1f} | {number(allowed(line))} | "
                f"{others_share(line):.2f} | {number(line['diskBytes'])} | {number(line.get('networkBytes'))} | {', '.join(wishes)} |"
            )
    return "\n".join(rows)


def amplification_table(figures):
    lines = [line for (row, _, _), line in figures.items() if row == "amplification"]
    if not lines:
        return ""
    rows = ["| what a program wrote | nodes | copies | MiB | to disks, times that | on the network, times that |", "| --- |" + " ---: |" * 5]
    for line in lines:
        rows.append(
            f"| {line['what']} | {line['nodes']} | {line['copies']} | {line['writtenBytes'] / 2**20:.0f} | "
            f"{line['disk']:.2f} | {number(line['network'], 2)} |"
        )
    return "\n".join(rows)


def growth_table(figures):
    lines = [line for (row, _, _), line in figures.items() if row in DASHES]
    if not lines:
        return ""
    rows = [
        "| layout | files | create, µs | lookup, µs | read, µs | a file in transactions, µs | processor of the nodes for that, µs | "
        "to disks for that, bytes | largest node, MiB |",
        "| --- |" + " ---: |" * 8,
    ]
    for line in lines:
        layout = "1,000 a directory" if line["row"] == "growth" else "one directory"
        rows.append(
            f"| {layout} | {line['files']:,} | {line['createUs']:.0f} | {line['lookupUs']:.0f} | {line['readUs']:.0f} | "
            f"{line['batchedFileUs']:.1f} | {line['nodesProcessorUs']:.1f} | {number(line['diskBytes'])} | {line['nodeMemoryMiB']} |"
        )
    return "\n".join(rows)


def picture(figures, title):
    """Curves of microseconds over files, both logarithmic."""
    lines = [line for (row, _, _), line in figures.items() if row in DASHES]
    left, top, width, height = 70, 96, 640, 340
    low_x, high_x = 4.0, max(math.log10(max(line["files"] for line in lines)), 5.0)
    values = [line[curve] for line in lines for curve, _, _ in CURVES]
    low_y, high_y = math.floor(math.log10(max(min(values), 1))), math.ceil(math.log10(max(values)))

    def x(files):
        return left + (math.log10(files) - low_x) / (high_x - low_x) * width

    def y(value):
        return top + height - (math.log10(max(value, 1)) - low_y) / max(high_y - low_y, 1) * height

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 40}" height="{top + height + 60}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="15" font-weight="600" fill="#1b1f24">{escape(title)}</text>',
    ]
    for index, (_, name, color) in enumerate(CURVES):
        at = 16 + index * 110
        parts.append(f'<path d="M{at} 46h24" stroke="{color}" stroke-width="2.5"/>')
        parts.append(f'<text x="{at + 30}" y="50" fill="#1b1f24">{escape(name)}</text>')
    parts.append('<text x="16" y="72" fill="#57606a">solid: 1,000 files a directory; dashed: all in one</text>')
    for power in range(low_y, high_y + 1):
        parts.append(f'<path d="M{left} {y(10**power):.1f}h{width}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{left - 8}" y="{y(10**power) + 4:.1f}" text-anchor="end" fill="#57606a">{10**power:,} µs</text>')
    for power in range(math.ceil(low_x), math.floor(high_x) + 1):
        parts.append(f'<path d="M{x(10**power):.1f} {top}v{height}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{x(10**power):.1f}" y="{top + height + 18}" text-anchor="middle" fill="#57606a">{10**power:,}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 42}" text-anchor="middle" fill="#57606a">files on the drive</text>')
    for row, dash in DASHES.items():
        points = sorted((line for line in lines if line["row"] == row), key=lambda line: line["files"])
        for curve, _, color in CURVES:
            path = " ".join(f"{x(line['files']):.1f},{y(line[curve]):.1f}" for line in points)
            if path:
                parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.5" stroke-dasharray="{dash}"/>')
            for line in points:
                parts.append(f'<circle cx="{x(line["files"]):.1f}" cy="{y(line[curve]):.1f}" r="3" fill="{color}"/>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def main():
    path, folder, commit, disk = sys.argv[1:5]
    figures = read_figures(path)
    if not figures:
        sys.exit(f"{path}: nothing was measured")
    date = time.strftime("%Y-%m-%d", time.gmtime())
    results = pathlib.Path(folder)
    results.mkdir(parents=True, exist_ok=True)
    loads = [line["load"] for line in figures.values()]
    facts = describe_machine(disk)
    facts["load while rows were measured"] = f"{min(loads):.1f} to {max(loads):.1f}"
    tables = [throughput_table(figures), amplification_table(figures), growth_table(figures)]
    text = "\n\n".join(table for table in tables if table)
    has_growth = any(row in DASHES for row, _, _ in figures)
    if has_growth:
        title = f"What an operation costs while a drive grows ({date}, {commit})"
        (results / "library.svg").write_text(picture(figures, title), encoding="utf-8")
    (results / "library.jsonl").write_text("".join(json.dumps(line) + "\n" for line in figures.values()), encoding="utf-8")
    (results / "library.md").write_text(
        f"# {date}, commit {commit}: through the client library\n\n"
        "On loopback, with certificates, closed loop; what each row is, and what bounds it: "
        "[performance](../../../docs/performance.md). Clients and nodes share the processors: \"processors allow\" is what these would do\n"
        "if nobody else used the machine meanwhile, from the processor time of one operation.\n\n"
        f"{text}\n\n"
        + ("![What an operation costs while a drive grows](library.svg)\n\n" if has_growth else "")
        + "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items())
        + "\n",
        encoding="utf-8",
    )
    print(f"\n{text}\n\nbench: {results}/library.md")


if __name__ == "__main__":
    main()
