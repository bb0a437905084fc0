"""postgres.py: a PostgreSQL server (Debian's package) for a test, in a temporary folder, with a socket there.

    with Postgres() as db:
        db.conninfo             connection string for libpq
        db.query("SELECT 1")    list of rows, values as text
        db.kill(); db.start()   SIGKILL, then recovery

PostgreSQL refuses to run as root. If the test runs as root, the server runs as the package's user `postgres`.
"""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

from broker import ANSWER_SECONDS, die_with_parent, eventually


def programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    assert found, "PostgreSQL is not installed: run `sh cmake/deps.sh test`"
    return os.path.dirname(found[-1])


def children_of(parent):
    """Finds the child processes in /proc, since `ps` may not be installed."""
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat, encoding="ascii", errors="replace") as f:
                text = f.read()
        except OSError:  # it has ended meanwhile
            continue
        if int(text.rsplit(")", 1)[1].split()[1]) == parent:
            yield int(text.split()[0])


class Postgres:
    def __init__(self):
        self.bin = programs()
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.folder = tempfile.mkdtemp(prefix="halfmq-pg-")
        os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.data = os.path.join(self.folder, "data")
        self.conninfo = f"host={self.folder} user=test dbname=postgres"
        self.process = None
        self.run("initdb", "--no-sync", "-A", "trust", "-U", "test", "--no-locale", "-E", "UTF8", self.data)
        self.start()

    def become(self):
        """Runs in the child."""
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)
        die_with_parent()  # after the change of user, which resets it

    def address(self):
        """Returns the path of its socket, for a proxy."""
        return os.path.join(self.folder, ".s.PGSQL.5432")

    def run(self, program, *words):
        done = subprocess.run([os.path.join(self.bin, program), *words], preexec_fn=self.become, cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, f"{program}: {done.stdout}"
        return done.stdout

    def launch(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.bin, "postgres"), "-D", self.data, "-k", self.folder, "-h", ""],
                preexec_fn=self.become, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self):
        """Starts it. After a kill, processes of the old server may keep its shared memory for a moment, so it tries
        several times."""
        def is_up():
            if self.process is None or self.process.poll() is not None:
                self.launch()
            return self.psql("SELECT 1").returncode == 0
        eventually(is_up, "PostgreSQL takes connections")

    def psql(self, sql):
        return subprocess.run([os.path.join(self.bin, "psql"), self.conninfo, "-XAtq", "-c", sql],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)

    def query(self, sql):
        done = self.psql(sql)
        assert done.returncode == 0, done.stderr
        return [tuple(line.split("|")) for line in done.stdout.splitlines()]

    def session(self):
        """Starts a psql to which the test writes, so that a transaction can stay open. Close its stdin to end it."""
        return subprocess.Popen([os.path.join(self.bin, "psql"), self.conninfo, "-XAtq"], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                preexec_fn=die_with_parent)

    def kill(self):
        """Kills the server and each process that serves a connection with SIGKILL."""
        for pid in [self.process.pid, *children_of(self.process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(ANSWER_SECONDS)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # a fast shutdown
            try:
                self.process.wait(ANSWER_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
