"""fetch.py: brings the other brokers into a folder, with the package managers they are published for.

    Java   Maven copies the artifacts and all they need from Maven Central into <peers>/<name>/lib
    Go     `go install` puts programs into <peers>/<name>/bin
    Debian only looked for: what apt-get installs is the user's to decide

Only `--fetch` comes here. A peer that is there already is left alone; one that cannot be fetched says
why and is left out of the table. To add one: a line in JAVA or GO, and its driver beside this file.
"""
import os
import shutil
import subprocess

JAVA = {
    "rocketmq": [("org.apache.rocketmq", f"rocketmq-{part}", "5.5.0")
                 for part in ("namesrv", "broker", "tools", "example")],
    "kafka": [("org.apache.kafka", "kafka_2.13", "3.9.1"), ("org.apache.kafka", "kafka-tools", "3.9.1")],
    "rabbitmq": [("com.rabbitmq", "perf-test", "2.22.1")],
}
GO = {
    "nats": ["github.com/nats-io/nats-server/v2@latest", "github.com/nats-io/natscli/nats@latest"],
}
FETCH_SECONDS = 1200

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>halfmq.bench</groupId><artifactId>{name}</artifactId><version>1</version>
  <dependencies>
{dependencies}  </dependencies>
</project>
"""
DEPENDENCY = ("    <dependency><groupId>{}</groupId><artifactId>{}</artifactId>"
              "<version>{}</version></dependency>\n")


class CannotFetch(Exception):
    """A sentence that says what is missing."""


def present(folder, name):
    """True if the distribution of a peer is complete."""
    kind = "lib" if name in JAVA else "bin"
    return os.path.exists(os.path.join(folder, name, kind, ".complete"))


def run(command, cwd, environment=None):
    tool = command[0]
    if not shutil.which(tool):
        raise CannotFetch(f"{tool} is not installed")
    try:
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True,
                              timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        raise CannotFetch(f"{tool} took more than {FETCH_SECONDS} s")
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["it said nothing"]
        raise CannotFetch(f"{tool} failed: {last[0]}")


def fetch_java(folder, name):
    with open(os.path.join(folder, "pom.xml"), "w", encoding="utf-8") as f:
        f.write(POM.format(name=name,
                           dependencies="".join(DEPENDENCY.format(*a) for a in JAVA[name])))
    run(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"], folder)


def fetch_go(folder, name):
    environment = dict(os.environ, GOBIN=os.path.join(folder, "bin"))
    for package in GO[name]:
        run(["go", "install", package], folder, environment)


def fetch(peers, name):
    """Makes <peers>/<name> complete, or raises CannotFetch."""
    if present(peers, name):
        return
    folder = os.path.join(peers, name)
    os.makedirs(folder, exist_ok=True)
    java = name in JAVA
    (fetch_java if java else fetch_go)(folder, name)
    with open(os.path.join(folder, "lib" if java else "bin", ".complete"), "w", encoding="utf-8"):
        pass
