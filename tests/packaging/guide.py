#!/usr/bin/python3
"""guide.py: follows a guide of docs/ word for word, as a user who has installed HalfMQ would.

    guide.py transactions|consuming|security

It joins the ```python blocks to one program and the ```c blocks to another, and checks that they are the same as
the examples (GUIDES). Then it types the commands of the ```console blocks into one shell, in their order, and
compares what they print (... stands for anything). The shell runs in an empty folder, and environment variables
give the broker free ports.
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import SOURCE, die_with_parent, eventually  # noqa: E402

END = "-- end of a command --"
SECONDS = 200

# The guide's programs: language, the example in clients/examples, the name that a reader saves it under.
GUIDES = {"transactions": (("python", "patterns/orders.py", "orders.py"), ("c", "patterns/orders_sqlite.c", "orders.c")),
          "consuming": (("python", "consuming.py", "consuming.py"), ("c", "consuming.c", "consuming.c")),
          "security": (("python", "tokens.py", "tokens.py"),)}


def blocks():
    """Returns (language, text) for each fenced block."""
    with open(os.path.join(SOURCE, "docs", guide + ".md"), encoding="utf-8") as f:
        return re.findall(r"^```(\w+)\n(.*?)^```$", f.read(), flags=re.MULTILINE | re.DOTALL)


def put_together(language, example):
    pieces = [text for found, text in blocks() if found == language]
    with open(os.path.join(SOURCE, "clients", "examples", example), encoding="utf-8") as f:
        wanted = f.read()
    # The pieces are separated by empty lines in the example, and by text in the guide.
    shrink = re.compile(r"\n\n+")
    assert shrink.sub("\n", "\n".join(pieces)) == shrink.sub("\n", wanted), f"{example} and the guide differ"
    return "\n".join(pieces)


def commands():
    """Yields (command, the lines that it should print) for each command of the console blocks."""
    for language, text in blocks():
        if language != "console":
            continue
        typed, printed = None, []
        for line in text.splitlines():
            if line.startswith("$ "):
                if typed:
                    yield typed, printed
                typed, printed = line[2:], []
            else:
                printed.append(line)
        yield typed, printed


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def install(prefix):
    subprocess.run(["cmake", "--install", os.environ["BUILD"], "--prefix", prefix], check=True,
                   stdout=subprocess.DEVNULL)
    libraries = os.path.dirname(next(os.path.join(folder, name) for folder, _, names in os.walk(prefix)
                                     for name in names if name == "libhalfmq.so"))
    port = str(free_port())
    return dict(os.environ, PATH=f"{prefix}/bin:/usr/bin:/bin", LD_LIBRARY_PATH=libraries,
                PKG_CONFIG_PATH=f"{libraries}/pkgconfig", HALFMQ_PORT=port, HALFMQ_HTTP_PORT="0",
                HALFMQ_URL=f"hmq://127.0.0.1:{port}")


class Shell:
    """A shell like a user's. Its process group is killed at the end, with all that the commands started."""

    def __init__(self, folder, environment):
        self.port = int(environment["HALFMQ_PORT"])
        self.process = subprocess.Popen(["bash", "--norc"], cwd=folder, env=environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                        preexec_fn=die_with_parent)
        self.deadline = threading.Timer(SECONDS, self.kill)
        self.deadline.start()

    def kill(self):
        """Kills the shell and everything that it started: they are one process group."""
        os.killpg(self.process.pid, signal.SIGKILL)

    def type(self, command):
        """Types a command and returns the lines that it printed."""
        self.process.stdin.write("{ %s\n} </dev/null\necho '%s'\n" % (command, END))
        self.process.stdin.flush()
        lines = []
        while True:
            line = self.process.stdout.readline()
            assert line, f"the shell ended in {command!r}: {lines}"
            if line.rstrip("\n") == END:
                break
            lines.append(line.rstrip("\n"))
        if command.startswith("halfmqd"):
            eventually(self.broker_is_there, "the broker listens")
        return lines

    def broker_is_there(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except ConnectionRefusedError:
            return False

    def close(self):
        self.deadline.cancel()
        self.kill()
        self.process.wait()


def fits(pattern, line):
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("...")), line)


def follow(folder):
    for language, example, name in GUIDES[guide]:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(put_together(language, example))
    shell = Shell(folder, install(os.path.join(folder, "usr")))
    try:
        count = 0
        for command, wanted in commands():
            said = shell.type(command)
            assert len(said) == len(wanted) and all(map(fits, wanted, said)), \
                f"$ {command}\nprinted {said}\nnot     {wanted}"
            count += 1
        assert count > 15, count
    finally:
        shell.close()
    print(f"{count} commands of the guide do what it says")


guide = sys.argv[1] if len(sys.argv) > 1 else "transactions"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        follow(scratch)
