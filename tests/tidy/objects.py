"""objects.py: who calls whom, as the linker sees it: the object files of a build, read with nm.

    <build>/broker/CMakeFiles/hmq_broker.dir/net/conn.c.o  is  broker/net/conn.c
    a symbol that one file leaves undefined and another of the product defines is a call

Functions that are inlined from headers leave no symbol, and what the product does not define (libc, the
sanitizers) is nobody's. A name that several programs define is taken from the caller's own.
"""
import os
import re
import subprocess
from collections import defaultdict

OBJECT = re.compile(r"^(.*?)/?CMakeFiles/[^/]+\.dir/(.*\.c)\.o$")
AT_ONCE = 200  # files on one command line


class Calls:
    """calls: (caller's path, definer's path, symbol). files: paths of which there is an object."""

    def __init__(self):
        self.calls, self.files, self.stale = [], set(), []


def calls_of(build, sources, unit_of):
    """sources: those that count, by path. unit_of(path): the program or library that a file is part of."""
    found = Calls()
    defined, undefined = defaultdict(set), defaultdict(set)  # symbol -> paths; path -> symbols
    objects = {}
    for folder, _, names in os.walk(build):
        for name in names:
            full = os.path.join(folder, name)
            place = OBJECT.match(os.path.relpath(full, build))
            if place:
                path = os.path.join(place.group(1), place.group(2))
                if path in sources:
                    objects[full] = path
    for full, path in objects.items():
        if os.path.getmtime(full) < sources[path].mtime and path not in found.stale:
            found.stale.append(path)
    found.files = set(objects.values())
    for full, kind, symbol in symbols_of(sorted(objects)):
        if kind in "Uwv":
            undefined[objects[full]].add(symbol)
        elif kind.isupper() or kind == "u":
            defined[symbol].add(objects[full])
    for path in sorted(undefined):
        for symbol in sorted(undefined[path]):
            owners = defined.get(symbol, set())
            own = {o for o in owners if unit_of(o) == unit_of(path)}
            found.calls.extend((path, owner, symbol) for owner in sorted(own or owners) if owner != path)
    return found


def symbols_of(objects):
    """(file, kind, symbol) of each line of nm."""
    for i in range(0, len(objects), AT_ONCE):
        done = subprocess.run(["nm", "-A", "-P", *objects[i:i + AT_ONCE]], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            raise SystemExit("tidy: nm: " + (done.stderr.strip().splitlines() or ["failed"])[0])
        for line in done.stdout.splitlines():
            found = re.match(r"(.*\.o): (\S+) (\w)\b", line)
            if found:
                yield found.group(1), found.group(3), found.group(2)
