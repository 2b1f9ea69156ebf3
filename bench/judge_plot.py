#!/usr/bin/env python3
"""Draws what bench/judge has found: for each kind of green, the share of runs that was turned back over the records done by then.

    bench/judge | bench/judge_plot.py >docs/judge-power.svg

A healthy green's curve ought to lie on the floor, a worse one's to rise early. The last line of the input counts."""

import json
import sys
from xml.sax.saxutils import escape

JUDGES = {"baton": ("Baton", "#0b6e4f"), "kayenta": ("Kayenta (Mann-Whitney)", "#b5541c"),
          "argo": ("Argo Rollouts (three in a row)", "#5b4b8a"), "flagger": ("Flagger (five in all)", "#8a8a8a")}
WIDTH, HEIGHT, GAP, LEFT, TOP, FOOT = 250, 150, 34, 44, 34, 34
COLUMNS = 3
RECORDS = 36000  # half an hour at twenty a second


def curve(records, x, y):
    """Steps from 0 to the share of runs that is reached."""
    points = [(0, 0.0)]
    for i, at in enumerate(records, 1):
        if at < 0:
            break
        points += [(at, points[-1][1]), (at, i / len(records))]
    points.append((RECORDS, points[-1][1]))
    return " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)


def panel(scene, left, top):
    def x(records):
        return left + WIDTH * min(records, RECORDS) / RECORDS

    def y(share):
        return top + HEIGHT * (1 - share)

    out = [f'<text x="{left}" y="{top - 10}" class="title">{escape(scene["name"])}</text>',
           f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" class="frame"/>']
    for share in (0, 0.5, 1):
        out.append(f'<text x="{left - 6}" y="{y(share) + 4:.1f}" class="tick" text-anchor="end">{share:.0%}</text>')
        out.append(f'<line x1="{left}" y1="{y(share):.1f}" x2="{left + WIDTH}" y2="{y(share):.1f}" class="grid"/>')
    for records in (0, 12000, 24000, 36000):
        out.append(f'<text x="{x(records):.1f}" y="{top + HEIGHT + 16}" class="tick" text-anchor="middle">{records:,}</text>')
    for key, (_, color) in reversed(JUDGES.items()):
        out.append(f'<polyline points="{curve(scene[key]["curve"], x, y)}" fill="none" stroke="{color}" stroke-width="2"/>')
    return out


def draw(said):
    """What bench/judge has said, as SVG."""
    scenes = json.loads(said.splitlines()[-1])["judge"]["scenes"]
    rows = (len(scenes) + COLUMNS - 1) // COLUMNS
    width = COLUMNS * (WIDTH + LEFT + GAP / 2) + GAP
    height = 60 + rows * (HEIGHT + TOP + FOOT)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" font-family="sans-serif">',
           "<style>.title{font-size:13px;font-weight:bold}.tick,.key{font-size:11px;fill:#444}.frame{fill:#fff;stroke:#999}"
           ".grid{stroke:#ddd}</style>", f'<rect width="{width:.0f}" height="{height}" fill="#fff"/>']
    at = 12
    for name, color in JUDGES.values():
        out.append(f'<rect x="{at}" y="10" width="14" height="10" fill="{color}"/>'
                   f'<text x="{at + 19}" y="19" class="key">{escape(name)}</text>')
        at += 40 + 6.3 * len(name)
    out.append('<text x="12" y="38" class="key">share of runs turned back, over the records that green had done by then</text>')
    for i, scene in enumerate(scenes):
        out += panel(scene, LEFT + (i % COLUMNS) * (WIDTH + LEFT + GAP / 2), 52 + TOP // 2 + (i // COLUMNS) * (HEIGHT + TOP + FOOT))
    return "\n".join(out + ["</svg>"]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(draw(sys.stdin.read()))
