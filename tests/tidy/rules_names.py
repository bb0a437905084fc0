"""rules_names.py: names that can be found with grep: where a function is declared, tags, statics."""
import fnmatch
import re
from collections import defaultdict

from house import FACADES, PREFIX_FROM_LINES, STATIC_FILES_MAX
from rule import Breach, rule
from tree import unit_of


@rule
def declared_where_defined(tree):
    """A function that x.h or x_inner.h declares is defined in x.c; facades have theirs in the files that are listed."""
    defined = defaultdict(list)  # (unit, name) -> [(source, function)]
    for s in tree.own:
        if not s.is_header:
            for f in s.functions():
                if not f.static:
                    defined[unit_of(s.path), f.name].append((s, f))
    for s in tree.own:
        if not s.is_header:
            continue
        for p in s.items:
            if p.kind != "prototype" or p.static:
                continue
            for owner, f in defined.get((unit_of(s.path), p.name), ()):
                if s.base not in (owner.base, owner.base + "_inner") and not any(fnmatch.fnmatch(owner.path, x) for x in FACADES.get(s.path, ())):
                    yield Breach(s.path, p.first, "declared",
                                 f"{p.name} is defined in {owner.path}:{f.first}: declare it in {owner.base}.h")


@rule
def struct_tags(tree):
    first = {}
    for s in sorted(tree.own, key=lambda s: not s.is_header):  # a header's is the one that stays
        for line, tag in s.tags():
            if tag in first and first[tag][0] != s.path:
                yield Breach(s.path, line, "tag", f"{tag} is also the tag of a type in %s:%d" % first[tag])
            first.setdefault(tag, (s.path, line))


def words_of(base):
    """What a static's name may begin with in base.c: all words of the file's name or the last ones."""
    words = base.split("_")
    out = ["_".join(words[i:]) for i in range(len(words))]
    return out + [w[:-1] for w in out if w.endswith("s")]


@rule
def static_prefixes(tree):
    for s in tree.own:
        if s.is_header or len(s.lines) <= PREFIX_FROM_LINES or s.name == "main.c":
            continue
        words = words_of(s.name[:-2])
        pattern = re.compile(r"(%s)(_|$)" % "|".join(sorted(map(re.escape, words), key=len, reverse=True)), re.I)
        for f in s.functions():
            if f.static and not pattern.match(f.name):
                yield Breach(s.path, f.first, "static", f"{f.name} does not begin with "
                             + " or ".join(f"{w}_" for w in words[:len(s.name[:-2].split('_'))]))


@rule
def static_names(tree):
    where = defaultdict(dict)  # name -> path -> line
    for s in tree.own:
        if s.is_header:
            continue
        for i in s.items:
            if i.static:
                where[i.name].setdefault(s.path, i.first)
    for name, paths in sorted(where.items()):
        if len(paths) > STATIC_FILES_MAX:
            path, line = sorted(paths.items())[0]
            yield Breach(path, line, "static-twice", f"{name} is a static of {len(paths)} files, at most "
                         f"{STATIC_FILES_MAX}: " + " ".join(sorted(paths)))
