"""The figures of a run as tables (markdown) and as a plot (SVG)."""

from __future__ import annotations

import math

from tests.bench import clips

MEASURED = ("wipe", "delogo", "telea")
SIZED = {"sttn": "STTN-sized", "propainter": "ProPainter-sized"}
NAMES = {"wipe": "AutoWipe", "delogo": "delogo, told", "telea": "Telea, told", **SIZED}
COLOURS = dict(zip(NAMES, ("#1b6ca8", "#8a8a8a", "#b8862b", "#a83232", "#6b3fa0"), strict=True))
NETWORK_PX = 432 * 240  # of the picture that networks are measured on


def times_plain(row: dict, networks: dict) -> dict[str, float]:
    """Wall time of each method as a multiple of the plain transcode's."""
    plain = row["plain"]["wall_s"]
    out = {name: row[name]["wall_s"] / plain for name in MEASURED if name in row}
    width, height = clips.size_of(row["height"])
    for name, figures in networks.items():
        if row["job"] != "none":
            work = row["frames"] * figures["wall_s_a_frame"] * width * height / NETWORK_PX
            out[name] = 1 + work / plain
    return out


def line(row: dict) -> str:
    plain, wipe = row["plain"], row["wipe"]
    return (
        f"{row['height']:5} {row['job']:10} {row['frames']:6} frames   plain {plain['wall_s']:.1f} s, CPU"
        f" {plain['cpu_s']:.1f}   wipe {wipe['wall_s']:.1f} s, CPU {wipe['cpu_s']:.1f}, peak {wipe['peak_mb']} MB   "
        + ", ".join(f"{name} {value:.2f}x" for name, value in times_plain(row, {}).items())
    )


def growth_line(row: dict) -> str:
    return (
        f"{row['height']:5} {row['job']:10} {row['frames'] / clips.RATE:6.0f} s   CPU"
        f" {1000 * row['wipe']['cpu_s'] / row['frames']:.1f} ms a frame, peak {row['wipe']['peak_mb']} MB"
    )


def markdown(results: dict) -> str:
    out = [f"Machine: {results['machine']}, {results['cores']} cores.", ""]
    if results["rows"]:
        out += _costs(results)
        for height in sorted({row["height"] for row in results["rows"]}):
            out += _stages([row for row in results["rows"] if row["height"] == height])
    if results["networks"]:
        out += _networks(results["networks"])
    if results["growth"]:
        out += _growth(results["growth"])
    return "\n".join(out)


def _table(*rows: list[object]) -> list[str]:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:], ""]


def _costs(results: dict) -> list[str]:
    networks = results["networks"]
    head = [
        "picture",
        "job",
        "frames",
        "plain, s",
        "wipe, s",
        "times plain",
        "CPU times plain",
        "cores busy",
        "peak MB",
    ]
    head += ["read + written, MB", *(f"{NAMES[name]}, times plain" for name in (*MEASURED[1:], *networks))]
    rows: list[list[object]] = [head]
    for row in results["rows"]:
        plain, wipe, times = row["plain"], row["wipe"], times_plain(row, networks)
        others = [f"{times[name]:.2f}" if name in times else "-" for name in (*MEASURED[1:], *networks)]
        rows.append(
            [
                f"{row['height']}p",
                row["job"],
                row["frames"],
                f"{plain['wall_s']:.1f}",
                f"{wipe['wall_s']:.1f}",
                f"**{times['wipe']:.2f}**",
                f"{wipe['cpu_s'] / plain['cpu_s']:.2f}",
                f"{wipe['cpu_s'] / wipe['wall_s']:.2f}",
                wipe["peak_mb"],
                f"{wipe['read_mb']:.0f} + {wipe['written_mb']:.0f}" if "read_mb" in wipe else "-",
                *others,
            ]
        )
    return ["## Cost of a wipe", "", *_table(*rows)]


def _stages(rows: list[dict]) -> list[str]:
    """Stages down, jobs across; what all clocks leave of the CPU time is the last line."""
    names = list(dict.fromkeys(name for row in rows for name in row["wipe"]["stages"]))
    lines: list[list[object]] = [[f"{rows[0]['height']}p: ms of wall time / of CPU time, MB, a frame"]]
    lines[0] += [row["job"] for row in rows]
    for name in names:
        cells = []
        for row in rows:
            wall, cpu, moved = (v / row["frames"] for v in row["wipe"]["stages"].get(name, (0, 0, 0)))
            cells.append(f"{1000 * wall:.1f} / {1000 * cpu:.1f}, {moved / 2**20:.1f}" if wall else "-")
        lines.append([name, *cells])
    rest = []
    for row in rows:
        left = row["wipe"]["cpu_s"] - sum(cpu for _, cpu, _ in row["wipe"]["stages"].values())
        rest.append(f"- / {1000 * left / row['frames']:.1f}, -")
    return _table(*lines, ["everything else: decoder's, encoder's, OpenCV's threads, starting", *rest])


def _networks(networks: dict) -> list[str]:
    head: list[object] = [
        "network, random weights",
        "parameters",
        "GFLOP a frame of 432x240",
        "s a frame",
        "CPU s",
        "peak MB",
    ]
    rows = [
        [
            SIZED[name],
            f"{of['parameters'] / 1e6:.1f} M",
            of["gflop_a_frame"],
            of["wall_s_a_frame"],
            of["cpu_s_a_frame"],
            of["peak_mb"],
        ]
        for name, of in networks.items()
    ]
    return ["## Networks of published sizes", "", *_table(head, *rows)]


def _growth(rows: list[dict]) -> list[str]:
    head: list[object] = ["picture", "job", "length, s", "CPU ms a frame", "wall ms a frame", "times plain", "peak MB"]
    lines = [
        [
            f"{row['height']}p",
            row["job"],
            round(row["frames"] / clips.RATE),
            f"{1000 * row['wipe']['cpu_s'] / row['frames']:.1f}",
            f"{1000 * row['wipe']['wall_s'] / row['frames']:.1f}",
            f"{row['wipe']['wall_s'] / row['plain']['wall_s']:.2f}",
            row["wipe"]["peak_mb"],
        ]
        for row in rows
    ]
    return ["## Growth with the clip's length", "", *_table(head, *lines)]


def plot(results: dict) -> str:
    """Bars of times plain on a logarithmic scale, a group for each picture and job."""
    bar, gap, left, right = 11, 12, 130, 560
    groups = [(f"{row['height']}p {row['job']}", times_plain(row, results["networks"])) for row in results["rows"]]
    most = max([value for _, values in groups for value in values.values()], default=10)
    top = 10 ** math.ceil(math.log10(max(10, most)))

    def x(value: float) -> float:
        return left + (right - left) * max(0.0, math.log10(value)) / math.log10(top)

    parts, y = [], 34
    for title, values in groups:
        parts.append(f'<text x="{left - 6}" y="{y + bar}" text-anchor="end">{title}</text>')
        for name, value in values.items():
            width = max(1, x(value) - left)
            parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{bar - 2}" fill="{COLOURS[name]}"/>')
            label = f"{value:.1f}" if value < 100 else f"{value:.0f}"
            parts.append(
                f'<text x="{left + width + 4:.1f}" y="{y + bar - 3}" class="small">{label} {NAMES[name]}</text>'
            )
            y += bar
        y += gap
    lines = [
        f'<line x1="{x(10**k):.1f}" x2="{x(10**k):.1f}" y1="24" y2="{y}" stroke="#ddd"/>'
        f'<text x="{x(10**k):.1f}" y="18" text-anchor="middle">{10**k}</text>'
        for k in range(round(math.log10(top)) + 1)
    ]
    style = "text{font:11px sans-serif;fill:#222}.small{font-size:9px;fill:#555}"
    box = f'viewBox="0 0 {right + 130} {y + 20}" width="{right + 130}" height="{y + 20}"'
    foot = f'<text x="{left}" y="{y + 12}">wall time, times the plain transcode; {results["machine"]}</text>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}><style>{style}</style>{"".join(lines + parts)}{foot}</svg>\n'
