#!/usr/bin/python3
"""test_acl.py: each command of the table is tried by a user who may not: without the right, and without the name, by text
and by MessagePack-RPC. And what a change of rules does to what is under way.

The user is `default`, which needs no password: its rules are changed by a second connection, which has them as well, so ACL
SETUSER always stays allowed.
"""
import os
import re
import sys
import urllib.error
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import SOURCE, Broker, Message, Refused, eventually, run_tests  # noqa: E402 (the path comes first)
from records import batch  # noqa: E402
from rpc import Rpc, RpcError  # noqa: E402

ALL = ["on", "allcommands", "alltopics", "allgroups", "allpgroups", "conns:0", "rate:0", "bytes:0"]
OPEN = {"AUTH", "QUIT", "RESET"}  # everybody may
WORDS = {"topic": "t", "name": "t", "group": "g", "pgroup": "p", "txid": "9000000000", "body": "x", "id": "t:0:0",
         "receipt": "t:0:0#1", "token": "@9000000000", "channel": "topic:t", "dur": "1s", "user": "alice", "rule": "on",
         "queue": "0", "offset": "0", "credit": "1", "stream": "1", "to": "earliest", "index": "0", "pattern": "*",
         "command": "PING", "key": "k", "batch": batch([b"x"])}
MORE = {"FIND": ["KEY", "k"], "PGROUP SET": ["CHECKIN", "1s"], "TOPIC SET": ["QUEUES", "4"], "GROUP SET": ["RATE", "1"],
        "ACL DRYRUN": []}
DENIES = {"TOPIC": ("resettopics", "topic t"), "ID": ("resettopics", "topic t"), "RECEIPT": ("resettopics", "topic t"),
          "GROUP": ("resetgroups", "group g"), "PGROUP": ("resetpgroups", "producer group p"),
          "CHANNEL": ("resettopics", "topic t")}

broker = admin = None


class Command:
    """A line of command.def."""

    def __init__(self, line):
        found = re.match(r'COMMAND\((\w+), "([^"]*)", (\w+), (\w+), "([^"]*)", (.*?), (\d), (\d), (\d), (.*), "', line)
        self.method = found.group(1).lower()
        self.words, self.kind, self.category = found.group(2), found.group(3), found.group(4)
        names = found.group(5).split()
        self.touches = dict((where, what) for where, what in re.findall(r"TOUCH_(\w+)\((\w+)\)", found.group(6)))
        at_most, rest = int(found.group(8)), int(found.group(9))
        self.single = names[:at_most]
        self.rest = names[-1] if rest else None

    def touched(self):
        return set(self.touches.values())

    def text(self):
        """The words of a request that is well-formed."""
        words = self.words.split() + [self.word(name) for name in self.single]
        if self.rest:
            words += [self.word(self.rest)]
        return words + MORE.get(self.words, [])

    def named(self):
        """The same by MessagePack-RPC."""
        params = {name: self.word(name) for name in self.single}
        if self.rest:
            params[self.rest] = [self.word(self.rest)]
        more = MORE.get(self.words, [])
        params.update({more[i].lower(): more[i + 1] for i in range(0, len(more), 2)})
        return params

    def word(self, name):
        if self.words == "CLIENT" and name == "arg":
            return "ID"
        if self.words == "ACL DRYRUN" and name == "word":
            return "PING"
        if self.words == "ACL CAT":
            return "txn"
        return WORDS.get(name, "1" if self.words in ("ACL GENPASS", "ACL LOG") else "x")


def commands():
    with open(os.path.join(SOURCE, "protocol", "command", "command.def"), encoding="utf-8") as table:
        found = [Command(line) for line in table if line.startswith("COMMAND(")]
    return [c for c in found if c.kind not in ("INNER", "LATER")]


def rules(*more):
    """default may do everything, but for these rules."""
    assert admin.call("ACL", "SETUSER", "default", *ALL, *more) == "OK"


def shown(command):
    return "CLIENT ID" if command.words == "CLIENT" else command.words


def refused_by_rpc(rpc, command):
    try:
        return f"answered {rpc.call(command.method, **command.named())!r}"
    except RpcError as error:
        return f"{error.code} {error.text}"


def try_all(what, wanted):
    """Tries each command by both dialects; wanted says which sentence it is to be refused with (None: it is not tried)."""
    holes, tried = [], 0
    c, rpc = broker.text(), Rpc(broker.port)
    for command in commands():
        sentence = wanted(command)
        if not sentence:
            continue
        tried += 1
        said = c.call_value(*command.text())
        said = said.text if isinstance(said, Refused) else f"answered {said!r}"
        for dialect, answer in (("text", said), ("rpc", refused_by_rpc(rpc, command))):
            if answer != sentence:
                holes.append(f"{what}: {command.words} by {dialect}: {answer}; wanted: {sentence}")
    c.close()
    rpc.socket.close()
    assert not holes, "\n" + "\n".join(holes)
    return tried


def test_each_command_needs_its_right():
    rules("nocommands", "+acl|setuser")
    tried = try_all("nocommands", lambda k: None if k.words in OPEN or k.words == "ACL SETUSER" else
                    f"NOPERM user default may not use {shown(k)}")
    assert tried == len(commands()) - len(OPEN) - 1


def test_each_category_is_its_own_right():
    """With all categories but its own a command is refused."""
    for category in sorted({k.category.lower() for k in commands()}):
        more = [] if category != "admin" else ["+acl|setuser"]
        rules(f"-@{category}", *more)
        try_all(f"-@{category}", lambda k: None if k.words in OPEN or k.words == "ACL SETUSER" or
                k.category.lower() != category or k.words in ("SUBSCRIBE", "UNSUBSCRIBE", "STREAM CREDIT", "STREAM CLOSE")
                else f"NOPERM user default may not use {shown(k)}")


def test_each_command_is_refused_alone():
    for k in commands():
        if k.words in OPEN or k.words in ("ACL SETUSER", "SUBSCRIBE", "UNSUBSCRIBE", "STREAM CREDIT", "STREAM CLOSE", "CLIENT"):
            continue
        rules("-" + k.words.lower().replace(" ", "|"))
        c = broker.text()  # a refused MULTI leaves its connection where nothing is done
        said = c.refused(*k.text())
        c.close()
        assert said.text == f"NOPERM user default may not use {k.words}", said.text
    rules()


def test_each_name_is_judged():
    for rule in ("resettopics", "resetgroups", "resetpgroups"):
        rules(rule)

        def wanted(k, rule=rule):
            denied = [DENIES[what] for what in k.touched() if what in DENIES and DENIES[what][0] == rule]
            optional = k.words in ("COMMIT", "LAG")  # COMMIT has receipts with ACK only
            if not denied or (optional and k.words == "COMMIT"):
                return None
            return f"NOPERM user default may not access {denied[0][1]}"
        assert try_all(rule, wanted) > 5
    rules()


def test_parts_have_rights_of_their_own():
    rules("-client|list", "-client|kill")
    assert isinstance(admin.call("CLIENT", "ID"), int)
    assert admin.refused("CLIENT", "list").text == "NOPERM user default may not use CLIENT LIST"
    assert admin.refused("CLIENT", "KILL", "1").text == "NOPERM user default may not use CLIENT KILL"
    rules("-@pubsub")
    c = broker.text()
    assert c.refused("SUBSCRIBE", "topic:t").text == "NOPERM user default may not use SUBSCRIBE"
    assert c.call("SUBSCRIBE", "check:p")[0] == b"subscribe"
    assert c.call("UNSUBSCRIBE", "check:p")[0] == b"unsubscribe"
    rules("-@txn", "resetpgroups", "pgroup:p*")
    assert c.refused("SUBSCRIBE", "check:p").text == "NOPERM user default may not use SUBSCRIBE"
    rules("resetpgroups", "pgroup:p*")
    assert c.refused("SUBSCRIBE", "topic:t", "check:q").text == "NOPERM user default may not access producer group q"
    rules()
    c.close()


def test_options_name_groups_too():
    rules("resetgroups", "group:mine", "resetpgroups", "pgroup:mine")
    said = admin.refused("COMMIT", "9000000000", "ACK", "other", "t:0:0#1")
    assert said.text == "NOPERM user default may not access group other", said.text
    said = admin.refused("TXN", "LIST", "PGROUP", "other")
    assert said.text == "NOPERM user default may not access producer group other", said.text
    rules("resettopics", "~mine")
    said = admin.refused("COMMIT", "9000000000", "ACK", "g", "t:0:0#1")
    assert said.text == "NOPERM user default may not access topic t", said.text
    rules()


def test_dead_letters_belong_to_the_group():
    rules("resettopics", "~orders.*", "resetgroups", "group:mine")
    assert admin.refused("READ", "%DLQ%other", 0, 0).text == "NOPERM user default may not access topic %DLQ%other"
    assert admin.refused("READ", "%DLQ%mine", 0, 0).code == "NOTOPIC"
    assert admin.refused("TOPIC", "INFO", "%RETRY%mine").code == "NOTOPIC"
    rules("resetgroups")
    assert admin.refused("READ", "%DLQ%mine", 0, 0).code == "NOPERM"
    rules()


def test_transactions_belong_to_their_producer_group():
    txid, decided = admin.call("HALF", "secret", "t", "x"), admin.call("HALF", "secret", "t", "y")
    assert admin.call("COMMIT", decided)
    rules("resetpgroups", "pgroup:mine")
    for words in (("COMMIT",), ("ROLLBACK",), ("UNKNOWN",), ("TXN", "INFO"), ("TXN", "MESSAGES")):
        for one in (txid, decided):
            assert admin.refused(*words, one).code == "NOTXN", (words, one)
    assert admin.refused("TXN", "EXTEND", txid, "1s").code == "NOTXN"
    assert admin.refused("HALF", "mine", "t", "x", "TXN", txid).code == "NOTXN"
    assert admin.call("TXN", "LIST")[1] == []
    rules()
    assert len(admin.call("TXN", "LIST")[1]) == 2
    assert admin.call("COMMIT", txid)


def test_a_token_belongs_to_its_topic():
    token = admin.call("SEND", "secret", "x", "DELAY", "1h")
    rules("resettopics", "~mine")
    assert admin.call("DELAYED", "CANCEL", token) == 0
    rules()
    assert admin.call("DELAYED", "CANCEL", token) == 1


def test_lists_show_what_may_be_seen():
    for name in ("mine.a", "theirs.b"):
        admin.call("SEND", name, "x")
        for group in ("mine.g", "theirs.h"):
            admin.call("POP", group, name)
        admin.call("HALF", "mine.p" if name == "mine.a" else "theirs.p", name, "x")
    rules("resettopics", "~mine.*", "resetgroups", "group:mine.*", "resetpgroups", "pgroup:mine.*")
    assert admin.call("TOPIC", "LIST") == [b"mine.a"]
    assert admin.call("GROUP", "LIST") == [b"mine.g"]
    assert admin.call("PGROUP", "LIST") == [b"mine.p"]
    assert [dict(zip(m[::2], m[1::2]))[b"topic"] for m in admin.call("LAG")] == [b"mine.a"]
    assert [dict(zip(m[::2], m[1::2]))[b"pgroup"] for m in admin.call("TXN", "LIST")[1]] == [b"mine.p"]
    c = broker.text()
    assert c.call("MULTI") == "OK"
    assert c.call("TOPIC", "LIST") == "QUEUED"
    assert c.call("EXEC") == [[b"mine.a"]]
    c.close()
    rules()
    assert len(admin.call("GROUP", "LIST")) >= 2


def test_client_list_shows_ones_own():
    c = broker.text()
    assert c.call("PING") == "PONG"  # its loop knows it now
    rules("-@admin", "+client|list", "+acl|setuser")
    lines = admin.call("CLIENT", "LIST").decode().strip().split("\n")
    assert len(lines) >= 2 and all(line.endswith(" user=default") for line in lines), lines
    rules()
    c.close()


def test_multi():
    c = broker.text()
    rules("resettopics", "~mine.*")
    assert c.call("MULTI") == "OK"
    assert c.refused("SEND", "theirs", "x").code == "NOPERM"
    assert c.call("SEND", "mine.m", "x") == "QUEUED"
    assert c.refused("EXEC").code == "EXECABORT"
    assert c.call("MULTI") == "OK"
    assert c.call("SEND", "mine.m", "x") == "QUEUED"
    rules("resettopics")
    assert c.refused("EXEC").code == "EXECABORT"
    rules("-multi")
    assert c.refused("MULTI").code == "NOPERM"
    assert c.refused("SEND", "mine.m", "x").code == "ERR"
    assert c.refused("EXEC").code == "EXECABORT"
    rules()
    assert admin.refused("READ", "mine.m", 0, 0).code == "NOTOPIC"
    c.close()


def test_a_change_ends_waits():
    for words in (("POP", "w", "t.wait", "WAIT", "1h"), ("CHECKS", "p.wait", "WAIT", "1h"),
                  ("READ", "t", "0", "1000", "WAIT", "1h")):
        c = broker.text()
        c.send(*words)
        eventually(lambda: b"halfmq_waiters 1" in metrics(), "it waits")
        rules("resettopics", "resetgroups", "resetpgroups")
        assert c.read() in ([], None), words
        assert c.refused(*words).code == "NOPERM"
        rules()
        c.close()
    admin.call("SEND", "t.wait", "x")
    assert Message(admin.call("POP", "w", "t.wait")[0]).body == b"x"


def metrics():
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/metrics") as page:
        return page.read()


def test_a_change_closes_subscriptions():
    c, rpc = broker.text(), Rpc(broker.port)
    for name in ("topic:keep", "topic:lose", "check:lose"):
        assert c.call("SUBSCRIBE", name)[0] == b"subscribe"
    assert rpc.call("subscribe", channel=["topic:lose"]) == 1
    rules("resettopics", "~keep", "resetpgroups", "pgroup:keep")
    assert sorted(c.read()[1] for _ in range(2)) == [b"check:lose", b"topic:lose"]
    while not rpc.notes:
        rpc.receive()
    assert rpc.notes.pop() == ("unsubscribe", [{"channel": "topic:lose"}])
    admin.call("SEND", "keep", "x")
    assert c.read() == [b"message", b"topic:keep", b"x"]
    rules()
    c.close()


def test_a_change_ends_streams():
    rpc = Rpc(broker.port)
    group = rpc.call("stream_group", group="s", credit=10, topic=["t"])
    queue = rpc.call("stream_queue", topic="keep", queue=0, offset=0, credit=1000)
    rules("resetgroups")
    while not any(note[0] == "stream_end" for note in rpc.notes):
        rpc.receive()
    ended = [note[1] for note in rpc.notes if note[0] == "stream_end"]
    assert len(ended) == 1 and "NOPERM" in repr(ended) and str(group) in repr(ended), ended
    assert rpc.call("stream_credit", stream=queue, credit=10) == "OK"
    rules()
    rpc.socket.close()


def test_bounds():
    rules("rate:2")
    said = None
    for _ in range(10):
        said = admin.call_value("PING")
        if isinstance(said, Refused):
            break
    assert re.fullmatch(r"BUSY .* again in \d+ ms", said.text), said
    assert urllib_code() == 503
    eventually(lambda: admin.call_value("ACL", "SETUSER", "default", *ALL) == "OK", "the bound lets one through")
    rules("bytes:1000")
    assert admin.call("ECHO", "x" * 1500)
    assert re.fullmatch(r"BUSY .* again in \d+ ms", admin.refused("ECHO", "x").text)
    eventually(lambda: admin.call_value("ACL", "SETUSER", "default", *ALL) == "OK", "the bound lets one through", 60)
    rules("conns:1")
    c = broker.text()
    assert c.refused("PING").code == "LIMIT"
    rules()
    assert eventually(lambda: c.call_value("PING") == "PONG", "there is no bound any more")
    c.close()


def urllib_code():
    try:
        metrics()
        return 200
    except urllib.error.HTTPError as error:
        return error.code


def test_pages():
    rules("-info")
    assert urllib_code() == 403
    for page in ("healthz", "readyz"):
        with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/{page}") as answer:
            assert answer.status == 200
    rules()
    assert urllib_code() == 200


def test_rules_come_back_as_they_were():
    """What ACL LIST shows makes the same user again."""
    for given in (["+@all", "-shutdown"], ["+client", "-client|kill"], ["+@connection", "-client", "+client|list"],
                  ["+checks", "-checks|serve"], ["+@admin", "-acl", "+acl|list"], ["nocommands", "+topic", "-topic|delete"],
                  ["+@produce", "~a*", "~b?", "group:g", "pgroup:*", "conns:3", "rate:4", "bytes:5", "on", "nopass"]):
        assert admin.call("ACL", "SETUSER", "ann", "reset", *given) == "OK"
        lines = [line.decode() for line in admin.call("ACL", "LIST")]
        printed = next(line for line in lines if line.startswith("user ann "))
        assert admin.call("ACL", "SETUSER", "bob", "reset", *printed.split()[2:]) == "OK"
        again = next(line.decode() for line in admin.call("ACL", "LIST") if line.startswith(b"user bob "))
        assert again == printed.replace("user ann ", "user bob "), (given, printed, again)
        assert admin.call("ACL", "GETUSER", "ann") == admin.call("ACL", "GETUSER", "bob")
    assert admin.call("ACL", "DELUSER", "ann", "bob", "nobody") == 2


def test_users_survive_restarts():
    global admin
    admin.call("ACL", "SETUSER", "carl", "on", "+@read", "~x")
    rules("-shutdown")
    for end in (broker.kill, broker.stop):
        end()
        broker.start()
        admin = broker.text()
        assert b"user carl on +@read ~x" in admin.call("ACL", "LIST")
        assert admin.refused("SHUTDOWN").code == "NOPERM"
    admin.call("ACL", "DELUSER", "carl")
    rules()


def test_who_is_off_is_closed():
    c = broker.text()
    assert c.call("PING") == "PONG"
    assert admin.call("ACL", "SETUSER", "default", "off") == "OK"
    assert c.socket.recv(1) == b""
    late = broker.text()
    for words in (("PING",), ("HELLO", "3"), ("ACL", "LIST"), ("SEND", "t", "x")):
        assert late.refused(*words).text == "NOAUTH Authentication required."
    assert late.call("RESET") == "RESET"
    assert urllib_code() == 401
    assert late.call("QUIT") == "OK"


def main():
    global broker, admin
    with Broker("--auto_create_topics", "yes") as broker:
        admin = broker.text()
        admin.call("TOPIC", "CREATE", "t")
        admin.call("TOPIC", "CREATE", "keep")
        assert len(commands()) > 80
        return run_tests(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(main())
