"""test_tls_tools.py: `halfmq` and `halfmq-bench` over TLS: flags, variables, and what they say where something is wrong."""
import os
import subprocess
import sys
import tempfile

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import BIN, Broker, run_tests  # noqa: E402
from certs import Authority  # noqa: E402

FOLDER = tempfile.TemporaryDirectory(prefix="halfmq-tls-")
CA = Authority(FOLDER.name)
SERVER, CLIENT = CA.issue("server", dns=["localhost"]), CA.issue("client")
FLAGS = ("--tls_cert", SERVER.cert, "--tls_key", SERVER.key, "--tls", "required", "--tls_ca", CA.cert)
TRUST = ("--tls", "--cacert", CA.cert)
OWN = ("--cert", CLIENT.cert, "--key", CLIENT.key)


def tool(name, broker, *words, host="localhost", **options):
    environment = dict(os.environ, HALFMQ_HOST=host, HALFMQ_PORT=str(broker.port), **options.pop("variables", {}))
    return subprocess.run([os.path.join(BIN, name), *words], capture_output=True, timeout=120, check=False, env=environment,
                          **options)


def cli(broker, *words, **options):
    return tool("halfmq", broker, *words, **options)


def bench(broker, *words, **options):
    return tool("halfmq-bench", broker, *words, "--quiet", **options)


def good(run):
    assert run.returncode == 0, run
    return run.stdout


def bad(run, status, text):
    assert run.returncode == status and text in run.stderr, run


def test_halfmq():
    with Broker(*FLAGS) as broker:
        assert good(cli(broker, *TRUST, "send", "t", "hello")) == b"t:0:0\n"
        big = os.urandom(3_000_000).hex().encode()[:4_000_000]
        assert good(cli(broker, *TRUST, "send", "t", "-", "QUEUE", "0", input=big)) == b"t:0:1\n"
        assert big in good(cli(broker, *TRUST, "read", "t", "0", "1"))
        assert b"hello" in good(cli(broker, *TRUST, "tail", "t", "FROM", "earliest", "COUNT", "1"))
        assert good(cli(broker, *TRUST, input=b"ping\nping\n")) == b"PONG\nPONG\n"
        assert good(cli(broker, "ping", variables={"HALFMQ_TLS": "1", "HALFMQ_CACERT": CA.cert})) == b"PONG\n"
        assert good(cli(broker, "--tls", "--insecure", "ping")) == b"PONG\n"
        bad(cli(broker, "--tls", "ping"), 3, b"certificate")
        bad(cli(broker, *TRUST, "ping", host="127.0.0.1"), 3, b"IP address mismatch")
        bad(cli(broker, "--tls", "--cacert", "/nowhere", "ping"), 3, b"'/nowhere' cannot be used: No such file")
        bad(cli(broker, *TRUST, "--cert", CLIENT.cert, "ping"), 2, b"--cert and --key are only used together")
        bad(cli(broker, "ping"), 1, b"this port speaks TLS only")
        bad(cli(broker, "ping", variables={"HALFMQ_TLS": "perhaps"}), 2, b"HALFMQ_TLS must be 1 or 0")
        good(cli(broker, *TRUST, "config", "set", "tls_client_auth", "required"))
        bad(cli(broker, *TRUST, "ping"), 3, b"certificate required")
        assert good(cli(broker, *TRUST, *OWN, "ping")) == b"PONG\n"


def test_a_broker_without_tls():
    with Broker(environment={"HALFMQ_TLS": "1"}) as broker:  # the variable of the clients is none of the broker's
        bad(cli(broker, "--tls", "ping"), 3, b"does not speak TLS")
        bad(bench(broker, "send", "--tls", "--messages", "10"), 1, b"wrong version number")


def test_logins():
    with Broker(*FLAGS) as broker:
        good(cli(broker, *TRUST, "acl", "setuser", "ann", "on", ">secret", "allcommands", "alltopics", "allgroups", "allpgroups"))
        right, wrong = {"HALFMQ_PASSWORD": "secret"}, {"HALFMQ_PASSWORD": "wrong"}
        assert good(cli(broker, *TRUST, "--user", "ann", "acl", "whoami", variables=right)).strip() == b"ann"
        bad(cli(broker, *TRUST, "ping", variables=dict(wrong, HALFMQ_USER="ann")), 1, b"the broker refuses the login: WRONGPASS")
        for dialect in ("rpc", "resp"):
            send = ("send", *TRUST, "--user", "ann", "--messages", "100", "--dialect", dialect)
            good(bench(broker, *send, variables=right))
            bad(bench(broker, *send, variables=wrong), 1, b"WRONGPASS")
        good(bench(broker, "send", *TRUST, "--user", "ann", "--messages", "100", "--via", "lib", variables=right))


def test_halfmq_bench():
    with Broker(*FLAGS) as broker:
        for mode in ("send", "e2e", "txn", "verify"):
            for dialect in ("rpc", "resp"):
                assert b"1.00k messages" in good(bench(broker, mode, *TRUST, "--messages", "1000", "--dialect", dialect))
        assert b"1.00k messages" in good(bench(broker, "send", *TRUST, "--messages", "1000", "--via", "lib"))
        assert b"20 messages" in good(bench(broker, "send", *TRUST, "--messages", "20", "--size", "3M"))
        good(bench(broker, "send", "--messages", "10", variables={"HALFMQ_TLS": "1", "HALFMQ_CACERT": CA.cert}))
        good(bench(broker, "send", "--messages", "10", "--tls", "--insecure"))
        bad(bench(broker, "send", "--messages", "10", "--tls"), 1, b"certificate")
        good(cli(broker, *TRUST, "config", "set", "tls_client_auth", "required"))
        bad(bench(broker, "send", *TRUST, "--messages", "10"), 1, b"")
        good(bench(broker, "send", *TRUST, *OWN, "--messages", "10"))


if __name__ == "__main__":
    sys.exit(run_tests(sys.modules[__name__]))
