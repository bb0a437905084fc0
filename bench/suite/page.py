"""page.py: the results as one HTML file that needs no network: a plot a row, light and dark, any width.

    0        must        aim                     a row's own scale, from 0 to a little past all it shows
    |─────────┆───────────┆──────
    ████████████████●●●                          bar: the median; dots: the rounds

The bar is coloured by the verdict, which also stands beside it in words: colour alone says nothing.
"""
import html

from suite.figure import bound_text, show
from suite.table import rounds_text, spread

WIDTH, HEIGHT, BAR = 600, 52, 16
CLOSE = 90  # distance at which two labels overlap
TOP = 22

STYLE = """
:root { color-scheme: light dark; --bg: #fff; --fg: #1c1e21; --soft: #5d646d; --line: #d8dce1;
  --bar: #8a94a0; --aim: #1a7f4e; --pass: #2f6fb7; --below: #b3402a; --card: #f6f7f9; }
@media (prefers-color-scheme: dark) { :root { --bg: #15181c; --fg: #e7eaee; --soft: #9aa3ad;
  --line: #343a41; --bar: #6b7683; --aim: #46b983; --pass: #6ba6ea; --below: #ec7d66; --card: #1e2227; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; background: var(--bg);
  color: var(--fg); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
p { color: var(--soft); margin: .25rem 0 1rem; overflow-wrap: anywhere; }
article { background: var(--card); border-radius: .5rem; padding: .8rem 1rem; margin: 0 0 .8rem; }
header { display: flex; flex-wrap: wrap; gap: .2rem 1rem; justify-content: space-between;
  align-items: baseline; }
h3 { font-size: 1rem; font-weight: 600; margin: 0; flex: 1 1 16rem; }
header b { font-size: 1.15rem; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); }
.v-aim { color: var(--aim); } .v-pass { color: var(--pass); } .v-below, .v-failed { color: var(--below); }
.v-none { color: var(--bar); }
.bar { fill: currentColor; opacity: .8; } .dot { fill: var(--bg); stroke: currentColor; stroke-width: 2; }
.axis { stroke: var(--line); } .mark { stroke: var(--fg); stroke-dasharray: 3 3; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: .4rem 0 0;
  font-size: .85rem; color: var(--soft); } dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
code { font: .8rem/1.4 ui-monospace, monospace; }
details { margin-top: .4rem; font-size: .85rem; } summary { cursor: pointer; color: var(--soft); }
@media (max-width: 30rem) { svg text { font-size: 20px; } }
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>HalfMQ: the figures</title><style>{style}</style></head><body>
<h1>HalfMQ: the figures</h1>
<p>{sentence} Each figure is the median of {rounds} rounds in turns; dots are the rounds.</p>
{sections}
</body></html>
"""

TITLES = (
    ("sends", "Single sends, beside Redis"), ("batches", "Batches"), ("txn", "Transactions"),
    ("consume", "Consuming"), ("choosing", "Groups that choose"), ("library", "Through libhalfmq"), ("latency", "Latency"), ("memory", "Memory"), ("start", "Starting"),
    ("crowds", "Much of everything"), ("stalls", "What others wait"),
    ("peers", "Beside other brokers, each under its own load tester"),
)


def verdict_class(f):
    return {"aim": "v-aim", "pass": "v-pass", "below": "v-below", "failed": "v-failed"}.get(
        f.verdict, "v-none")


def verdict_words(f):
    return {"aim": "reaches the aim", "pass": "reaches what it must", "below": "below what it must",
            "short of aim": "short of the aim", "failed": "not measured"}.get(f.verdict, "")


def scale_end(f):
    shown = f.values + [b for b in (f.row.must, f.row.aim) if b is not None]
    if f.row.unit == "x":
        shown.append(1.0)
    return max(shown) * 1.12


def bound_mark(x, label, anchor=None):
    """A dashed line with its label above; the label turns left where it would leave the plot."""
    turned = "end" if x > WIDTH * 0.8 else "start" if x < WIDTH * 0.1 else "middle"
    return (f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{TOP + BAR + 6}"/>'
            f'<text x="{x:.1f}" y="{TOP - 8}" text-anchor="{anchor or turned}">{html.escape(label)}</text>')


def plot(f):
    end = scale_end(f)

    def x(value):
        return value / end * WIDTH

    middle = TOP + BAR / 2
    parts = [f'<line class="axis" x1="0" x2="{WIDTH}" y1="{TOP + BAR + 6}" y2="{TOP + BAR + 6}"/>',
             f'<rect class="bar" x="0" y="{TOP}" width="{x(f.median):.1f}" height="{BAR}" rx="2"/>']
    parts += [f'<circle class="dot" cx="{x(v):.1f}" cy="{middle}" r="4"/>' for v in f.values]
    bounds = [(f.row.must, "must"), (f.row.aim, "aim")]
    close = f.row.must is not None and f.row.aim is not None and abs(x(f.row.must) - x(f.row.aim)) < CLOSE
    for b, name in bounds:  # labels that are close point away from each other
        if b is not None:
            away = None if not close else "end" if b == min(f.row.must, f.row.aim) else "start"
            parts.append(bound_mark(x(b), f"{name} {bound_text(b, f.row.unit)}", away))
    if f.row.must is None and f.row.aim is None and f.row.unit == "x":
        parts.append(bound_mark(x(1.0), "equal"))
    label = html.escape(f"{f.work}: {show(f.median, f.row.unit)}, {verdict_words(f)}")
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>')


def facts(f):
    pairs = [("least - most", spread(f)), ("HalfMQ", show(f.side("ours"), f.side_unit)),
             ("reference", show(f.side("theirs"), f.side_unit)), ("fsync", f.fsync), ("note", f.note),
             ("failed", f.failure)]
    return "<dl>" + "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>"
                            for name, text in pairs if text) + "</dl>"


def how(f):
    if not f.commands:
        return ""
    lines = "".join(f"<dt>{html.escape(side)}</dt><dd><code>{html.escape(command)}</code></dd>"
                    for side, command in f.commands)
    return f"<details><summary>Commands</summary><dl>{lines}</dl></details>"


def article(f):
    value = show(f.median, f.row.unit) if f.rounds else ""
    words = verdict_words(f)
    head = (f"<header><h3>{html.escape(f.work)}</h3><b>{value}</b>"
            f'<span class="{verdict_class(f)}">{words}</span></header>')
    drawn = f'<div class="{verdict_class(f)}">{plot(f)}</div>' if f.rounds else ""
    return f"<article>{head}{drawn}{facts(f)}{how(f)}</article>"


def page(figures, sentence, left_out):
    sections = []
    for family, title in TITLES:
        own = [f for f in figures if f.row.family == family]
        if own:
            sections.append(f"<h2>{title}</h2>" + "".join(article(f) for f in own))
    if left_out:
        sections.append("<h2>Left out</h2><p>" + "; ".join(
            html.escape(f"{title}: {why}") for title, why in left_out) + "</p>")
    return PAGE.format(style=STYLE, sentence=html.escape(sentence), rounds=rounds_text(figures),
                       sections="\n".join(sections))
