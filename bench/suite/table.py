"""table.py: the results as Markdown, and how they are put between two marks of bench/README.md."""
import re

from suite.figure import bound_text, show

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
HEAD = ("| work | figure | least - most | must | aim | | HalfMQ | reference | fsync |\n"
        "|---|---|---|---|---|---|---|---|---|\n")


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def spread(f):
    if not f.rounds:
        return ""
    return f"{show(min(f.values), f.row.unit)} - {show(max(f.values), f.row.unit)}"


def line(f):
    figure = show(f.median, f.row.unit) if f.rounds else f"not measured: {f.failure}"
    cells = [f.work, figure, spread(f), bound_text(f.row.must, f.row.unit),
             bound_text(f.row.aim, f.row.unit), mark(f), show(f.side("ours"), f.side_unit),
             show(f.side("theirs"), f.side_unit), f.fsync]
    return "| " + " | ".join(cell(c) for c in cells) + " |\n"


def mark(f):
    return f"**{f.verdict}**" if f.verdict in ("below", "failed") else f.verdict


def notes(figures):
    return "".join(f"- {f.work}: {f.note}\n" for f in figures if f.note)


def commands(figures):
    out = []
    for f in figures:
        if f.commands:
            sides = "; ".join(f"{side}: `{command}`" for side, command in f.commands)
            out.append(f"- {f.work}: {sides}\n")
    return "".join(out)


def section(title, figures):
    if not figures:
        return ""
    return f"{title}\n\n{HEAD}{''.join(line(f) for f in figures)}\n"


def markdown(figures, sentence, left_out):
    main = [f for f in figures if f.row.family != "peers"]
    peers = [f for f in figures if f.row.family == "peers"]
    out = [f"Taken {sentence} Each figure is the median of {rounds_text(figures)} rounds in turns.\n\n"]
    out.append(section("Beside Redis, RocksDB and the disk:", main))
    out.append(section("Beside other brokers, each under its own load tester (ratios; `below 1x` they are "
                       "faster):", peers))
    if left_out:
        out.append("Left out: " + "; ".join(f"{title}: {why}" for title, why in left_out) + ".\n\n")
    if notes(figures):
        out.append(notes(figures) + "\n")
    out.append("How each was run (PORT is the server's):\n\n" + commands(figures))
    return "".join(out)


def rounds_text(figures):
    counts = sorted({len(f.rounds) for f in figures if f.rounds})
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else "no"


def put_between_marks(text, table):
    """The README with the table between the marks. ValueError: it has no marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the file must hold {BEGIN} and {END} once each")
    return re.sub(re.escape(BEGIN) + ".*" + re.escape(END),
                  lambda _: f"{BEGIN}\n{table.rstrip()}\n{END}", text, flags=re.S)
