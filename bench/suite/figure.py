"""figure.py: computes the figure, the spread and the verdict of a row from its rounds.

    Round(value, ours, theirs)     value is what the row's unit says; ours and theirs the two sides of a
                                   ratio in their own unit, None where there is one side only
    Figure                         the rounds of one row, how each side was run, and a verdict

The figure of a row is the median of the values of its rounds. A ratio is taken within a round, so that a slow
phase of the machine slows both sides. The spread is from the least to the greatest value of a round.
"""
import statistics
from collections import namedtuple

Round = namedtuple("Round", "value ours theirs")

UNITS = {"x": "{:.2f}x", "MB": "{:.1f} MB", "s": "{:.3f} s"}


def rate_text(value):
    if value >= 1e6:
        return f"{value / 1e6:.2f} M/s"
    return f"{value / 1e3:.0f} k/s" if value >= 1e4 else f"{value / 1e3:.1f} k/s"


def show(value, unit):
    if value is None:
        return ""
    if unit == "/s":
        return rate_text(value)
    if unit == "ms":
        return f"{value:.2f} ms"
    return UNITS[unit].format(value)


def bound_text(value, unit):
    """A bound as people write it: 1.1x, 80 MB, 0.5 s, 3 M/s."""
    if value is None:
        return "-"
    if unit == "/s":
        return f"{value / 1e6:g} M/s"
    return f"{value:g}x" if unit == "x" else f"{value:g} {unit}"


class Figure:
    def __init__(self, row, work=None):
        self.row, self.work = row, work or row.work
        self.rounds = []
        self.commands = []  # (side, command line)
        self.fsync, self.note, self.failure = "", "", ""
        self.side_unit = "/s"

    @property
    def values(self):
        return [r.value for r in self.rounds]

    @property
    def median(self):
        return statistics.median(self.values) if self.rounds else None

    def side(self, name):
        """Median of `ours` or `theirs`; None if the row has no such side."""
        values = [getattr(r, name) for r in self.rounds if getattr(r, name) is not None]
        return statistics.median(values) if values else None

    def reaches(self, bound):
        if bound is None or self.median is None:
            return None
        return self.median <= bound if self.row.less else self.median >= bound

    @property
    def verdict(self):
        """aim, pass, below or short of aim; - if the row has no bounds; failed if nothing was measured."""
        if not self.rounds:
            return "failed"
        if self.reaches(self.row.aim):
            return "aim"
        if self.row.must is None:
            return "-" if self.row.aim is None else "short of aim"
        return "pass" if self.reaches(self.row.must) else "below"

    def as_dict(self):
        return {
            "key": self.row.key, "family": self.row.family, "work": self.work, "unit": self.row.unit,
            "must": self.row.must, "aim": self.row.aim, "less_is_better": self.row.less,
            "median": self.median, "least": min(self.values, default=None),
            "greatest": max(self.values, default=None), "verdict": self.verdict,
            "ours": self.side("ours"), "theirs": self.side("theirs"), "side_unit": self.side_unit,
            "rounds": [r._asdict() for r in self.rounds], "fsync": self.fsync,
            "commands": [{"side": s, "command": c} for s, c in self.commands],
            "note": self.note, "failure": self.failure,
        }

    @classmethod
    def from_dict(cls, row, d):
        f = cls(row, d["work"])
        f.rounds = [Round(r["value"], r["ours"], r["theirs"]) for r in d["rounds"]]
        f.commands = [(c["side"], c["command"]) for c in d["commands"]]
        f.fsync, f.note, f.failure = d["fsync"], d["note"], d["failure"]
        f.side_unit = d["side_unit"]
        return f
