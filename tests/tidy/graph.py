"""graph.py: circles in a graph of arrows. An Arrows knows for each arrow from a to b what draws it."""
from collections import defaultdict, deque

REASONS_MAX = 4  # printed of one arrow


class Arrows:
    def __init__(self):
        self.to = defaultdict(lambda: defaultdict(list))  # from -> to -> [(path, line, what)]

    def add(self, a, b, path, line, what):
        if a != b:
            reasons = self.to[a][b]
            if (path, line, what) not in reasons:
                reasons.append((path, line, what))

    def pairs(self):
        for a in sorted(self.to):
            for b in sorted(self.to[a]):
                yield a, b, self.to[a][b]

    def reason(self, a, b):
        whats = sorted({what for _, _, what in self.to[a][b]})
        more = f" and {len(whats) - REASONS_MAX} more" if len(whats) > REASONS_MAX else ""
        return ", ".join(whats[:REASONS_MAX]) + more

    def path(self, circle):
        """The circle as text: each arrow with what draws it."""
        text = circle[0]
        for a, b in zip(circle, circle[1:] + circle[:1]):
            text += f" -> {b} ({self.reason(a, b)})"
        return text

    def circles(self):
        """The shortest circle through each node that lies on one; each circle once, shortest first."""
        seen, found = set(), []
        for group in self.knots():
            for node in sorted(group):
                circle = self.shortest(node, group)
                if frozenset(circle) not in seen:
                    seen.add(frozenset(circle))
                    found.append((len(group), circle))
        return sorted(found, key=lambda f: (len(f[1]), f[1]))

    def shortest(self, start, group):
        came, queue = {}, deque([start])
        while queue:
            node = queue.popleft()
            for after in sorted(self.to.get(node, ())):
                if after == start:
                    circle = [node]
                    while node != start:
                        node = came[node]
                        circle.append(node)
                    return circle[::-1]
                if after in group and after not in came:
                    came[after] = node
                    queue.append(after)
        raise AssertionError(f"{start} lies on no circle")

    def knots(self):
        """Sets of nodes that reach each other (Tarjan), those of one node left out."""
        index, low, stack, on, out = {}, {}, [], set(), []

        def visit(root):
            work = [(root, iter(sorted(self.to.get(root, ()))))]
            index[root] = low[root] = len(index)
            stack.append(root)
            on.add(root)
            while work:
                node, rest = work[-1]
                for after in rest:
                    if after not in index:
                        index[after] = low[after] = len(index)
                        stack.append(after)
                        on.add(after)
                        work.append((after, iter(sorted(self.to.get(after, ())))))
                        break
                    if after in on:
                        low[node] = min(low[node], index[after])
                else:
                    work.pop()
                    if work:
                        low[work[-1][0]] = min(low[work[-1][0]], low[node])
                    if low[node] == index[node]:
                        knot = set()
                        while not knot or node not in knot:
                            knot.add(stack.pop())
                        on.difference_update(knot)
                        if len(knot) > 1:
                            out.append(knot)

        for node in sorted(self.to):
            if node not in index:
                visit(node)
        return out
