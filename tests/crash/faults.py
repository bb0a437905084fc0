#!/usr/bin/python3
"""faults.py: lets each allocation and each system call of a broker fail, one in each life.

    a life without a fault ──► the list of sites ──► for each site: start ──► talk ──► stop ──► restart ──► audit
                                                        └──────── here it fails ─────┘

halfmqd-faulty (faulty.c) knows a site by its callers. Whatever fails, the broker answers with an error, closes the
connection, or ends with a sentence and an exit status. It never dies by a signal and never hangs, and after a restart
everything is there that was acknowledged. The next attempt of the same thing, with another connection, works.

There are three lives: on a new folder, on that of a broker that was killed, and with --salvage on a damaged log. A
run takes one site of each function and FAULTS others at random (20; `all`: all of them, which takes some minutes).
FAULTS_SITE=<number> repeats one, FAULTS_CALL=open,send takes those functions alone, FAULTS_BELOW=conn_open those below one of
ours, LIFE=fresh,killed,salvage chooses lives, and JOBS says how many brokers run at a time. Those below ALWAYS are in each run. A site that made a broker fail in a build is another number in the
next one.
"""
import concurrent.futures
import errno
import glob
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", part) for part in ("lib", "integration")]

from broker import BIN, Broker  # noqa: E402 (the path comes first)
from certs import Authority  # noqa: E402
from faults_talk import JWT_SECRET, Ended, Hung, Ledger, Talk  # noqa: E402
from test_webhook import Service  # noqa: E402

FAULTY = os.environ.get("HALFMQD_FAULTY") or os.path.join(BIN, "tests", "crash", "halfmqd-faulty")
CONFIG = """# each kind of setting
memory = 16MiB
checkin = 1ms
check_every = 300ms
webhook_timeout = 2s
io_threads = 2
drain_timeout = 1s
http_tls = no
"""
SECURE = tempfile.TemporaryDirectory(prefix="halfmq-faults-secure-")
AUTHORITY = Authority(SECURE.name)
SERVER = AUTHORITY.issue("server", dns=["localhost"])
with open(os.path.join(SECURE.name, "jwt"), "wb") as jwt:
    jwt.write(JWT_SECRET)
CONFIG += f"tls_cert = {SERVER.cert}\ntls_key = {SERVER.key}\njwt_secret_file = {jwt.name}\n"
ALLOCATIONS = ("malloc", "calloc", "realloc", "aligned_alloc", "strdup", "strndup", "json_malloc", "crypto_malloc",
               "crypto_realloc")
INTERRUPTED = ("accept4", "poll", "pread", "pwrite", "pwritev", "read", "recv", "send", "write")
STATUSES = (0, 1, 70)
STOP_SECONDS = 60
ALWAYS = ("who_users", "who_count")  # few sites, and a fault in one has left a connection without its user for good
LIVES = ("fresh", "killed", "salvage")


class Life(Broker):
    """A broker that fails at a site. before: the folder whose data it starts with."""

    def __init__(self, environment, data=None, flags=()):
        super().__init__(environment=environment, started=False)
        self.life_flags = flags
        with open(os.path.join(self.folder, "conf"), "w", encoding="ascii") as f:
            f.write(CONFIG)
        if data:
            shutil.copytree(data, self.data)

    def launch(self):
        with open(self.log, "ab") as log:
            self.seen = log.tell()
            self.process = subprocess.Popen(
                [FAULTY, os.path.join(self.folder, "conf"), "--port=0", "--http_port=0", "--data=" + self.data,
                 *self.life_flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=self.environment,
                preexec_fn=self.in_child)

    def heal(self):
        """Starts it again, without a fault."""
        self.environment = {name: value for name, value in self.environment.items() if not name.startswith("FAULTY_")}
        self.start()


def starts(life):
    """True: it is ready. False: it has ended."""
    try:
        life.start()
        return True
    except AssertionError:
        if life.runs():
            raise Hung("the broker neither got ready nor ended") from None
        return False


def ends_well(life):
    """What is wrong with how it ended, or None."""
    status, log = life.process.returncode, life.read_log().decode(errors="replace")
    if "Sanitizer" in log:
        return "a sanitizer has found something"
    if status not in STATUSES:
        return f"the broker ended with status {status}"
    if status != 0 and "level=error" not in log and "halfmqd: " not in log:
        return f"the broker ended with status {status} and without a sentence"
    return None


def live(life, ledger, service):
    """One life from its start to its end."""
    if not starts(life):
        return
    try:
        Talk(life, ledger, service, "FAULTY_ON" in life.environment, AUTHORITY.client()).all()
    except Ended:
        pass
    if life.runs():
        life.process.terminate()
    try:
        life.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise Hung("the broker does not end") from None


def attempt(kind, site, how, templates, service):
    """Lives with a fault at that site. Returns what is wrong, or None, and the life's log."""
    environment = {"FAULTY_SITE": site[0], **how}
    life = Life(environment, templates.data(kind), ("--salvage",) if kind == "salvage" else ())
    ledger = templates.ledger(kind)
    wrong = None
    try:
        try:
            live(life, ledger, service)
            wrong = ends_well(life)
            life.life_flags = ("--salvage",) if kind == "salvage" else ()
            if not wrong:
                life.heal()
                wrong = ledger.audit(life.text(), kind == "salvage")
                life.stop()
                wrong = wrong or ends_well(life)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is told with the site)
            wrong = f"{type(error).__name__}: {error}"
        log = life.read_log().decode(errors="replace")
        if wrong and life.runs() and os.environ.get("STACKS"):
            subprocess.run(["gdb", "-p", str(life.process.pid), "-batch", "-ex", "thread apply all bt 14"], check=False)
        if wrong:
            life.keep()
        return wrong, log
    finally:
        life.close()


class Templates:
    """Folders that lives start with, and what was acknowledged in them."""

    def __init__(self, service):
        self.folder = tempfile.mkdtemp(prefix="halfmq-faults-")
        self.made = {"fresh": (None, Ledger())}
        life, ledger = Life({}), Ledger()
        life.start()
        talk = Talk(life, ledger, service)
        talk.all()
        talk.leave_behind()
        life.kill()
        for kind in ("killed", "salvage"):
            shutil.copytree(life.data, os.path.join(self.folder, kind))
            self.made[kind] = os.path.join(self.folder, kind), ledger
        life.close()
        self.damage()

    def damage(self):
        """The newest file of the log has a bad block in its middle."""
        path = max(glob.glob(os.path.join(self.folder, "salvage", "wal", "*.wal")), key=self.used)
        with open(path, "r+b") as f:
            f.seek(self.used(path) // 2 // 4096 * 4096)
            f.write(b"\xff" * 512)

    @staticmethod
    def used(path):
        with open(path, "rb") as f:
            return len(f.read().rstrip(b"\0"))

    def data(self, kind):
        return self.made[kind][0]

    def ledger(self, kind):
        return self.made[kind][1].copy()

    def close(self):
        shutil.rmtree(self.folder)


def list_sites(kind, templates, service):
    """Lives once without a fault. Returns the sites as (number, text)."""
    with tempfile.NamedTemporaryFile(prefix="halfmq-sites-") as file:
        life = Life({"FAULTY_LIST": file.name}, templates.data(kind), ("--salvage",) if kind == "salvage" else ())
        ledger = templates.ledger(kind)
        live(life, ledger, service)
        wrong = ends_well(life)
        log = life.read_log().decode(errors="replace")
        if not wrong:
            life.heal()
            wrong = ledger.audit(life.text(), kind == "salvage")
            life.stop()
        life.close()
        assert not wrong, f"{kind}: {wrong}\n{log}"
        with open(file.name, encoding="ascii") as f:
            return [(line.split()[0], line.strip()) for line in f]


def where(text):
    """The source lines of a site."""
    addresses = [a for a in text.split() if a.startswith("0x")]
    try:
        out = subprocess.run(["addr2line", "-e", FAULTY, "-f", "-s", *(hex(int(a, 16) - 1) for a in addresses)],
                             capture_output=True, text=True, check=True).stdout.split("\n")
        return " < ".join(f"{f} {at}" for f, at in zip(out[::2], out[1::2]))
    except (OSError, subprocess.CalledProcessError):
        return text


def function_of(site):
    return site[1].split()[1]


def below(sites, names):
    """Those of the sites that one of these functions leads to."""
    addresses = sorted({a for s in sites for a in s[1][1].split() if a.startswith("0x")})
    out = subprocess.run(["addr2line", "-e", FAULTY, "-f", "-s"], input="\n".join(hex(int(a, 16) - 1) for a in addresses),
                         capture_output=True, text=True, check=True).stdout.split("\n")
    wanted = {a for a, name in zip(addresses, out[::2]) if name.split(".")[0] in names}
    return [s for s in sites if wanted.intersection(s[1][1].split())]


def ways(site, chance):
    """How a site fails: as it is met first, or later, once or for ever. libevent's allocations are one site."""
    function, frames = function_of(site), len(site[1].split()) - 2
    out = [{}]
    if function.startswith("crypto"):
        out += [{"FAULTY_SKIP": str(chance.randrange(1, 2000))} for _ in range(3)]
    if frames <= 1:
        out += [{"FAULTY_SKIP": str(chance.randrange(1, 300))} for _ in range(20)]
    if function in ALLOCATIONS:
        out.append({"FAULTY_ON": "1"})
    elif function in INTERRUPTED:
        out.append({"FAULTY_ERRNO": str(errno.EINTR)})
    return out


def choose(sites, chance):
    wanted, only = os.environ.get("FAULTS", "20"), os.environ.get("FAULTS_SITE")
    names = os.environ.get("FAULTS_CALL")
    if only:
        return [s for s in sites if s[1][0] in only.split(",")]
    if names:
        sites = [s for s in sites if function_of(s[1]) in names.split(",")]
    if os.environ.get("FAULTS_BELOW"):
        return below(sites, os.environ["FAULTS_BELOW"].split(","))
    if wanted == "all":
        return sites
    shuffled = chance.sample(sites, len(sites))
    one_each = list({function_of(s[1]): s for s in shuffled}.values())
    always = [s for s in below(sites, ALWAYS) if s not in one_each]
    others = [s for s in shuffled if s not in one_each and s not in always]
    return one_each + always + others[:int(wanted)]


def main():
    seed = int(os.environ.get("HALFMQ_SEED") or time.time_ns() % 2**32)
    chance, began = random.Random(seed), time.monotonic()
    service = Service(lambda asked: "commit")
    templates, known, sites = Templates(service), set(), []
    kinds = os.environ.get("LIFE", ",".join(LIVES)).split(",")
    for kind in kinds:
        found = [s for s in list_sites(kind, templates, service) if s[0] not in known]
        known.update(s[0] for s in found)
        sites += [(kind, s, how) for s in found for how in ways(s, chance)]
    chosen = choose(sites, chance)
    print(f"seed {seed}: {len(sites)} sites, {len(chosen)} of them fail now", flush=True)
    bad = fired = 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        for (kind, site, how), (wrong, log) in zip(chosen, pool.map(lambda c: attempt(*c, templates, service), chosen)):
            fired += "faulty: fails" in log
            if wrong:
                bad += 1
                print(f"FAILED {kind} FAULTS_SITE={site[0]} {how} {function_of(site)} {where(site[1])}\n  {wrong}", flush=True)
                print("\n".join("    " + line[:600] for line in log.split("\n")[-60:]), flush=True)
    templates.close()
    print(f"{len(chosen)} faults, {fired} of them met, {bad} wrong, {time.monotonic() - began:.0f} s")
    return 1 if bad or fired * 2 < len(chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
