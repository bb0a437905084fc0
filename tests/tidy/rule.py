"""rule.py: what a rule is: a generator function with the mark @rule that takes the Tree and yields breaches."""

RULES = []


class Breach:
    def __init__(self, path, line, rule_name, text):
        self.path, self.line, self.rule, self.text = path, line, rule_name, text

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


def rule(f):
    RULES.append(f)
    return f
