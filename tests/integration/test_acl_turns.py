#!/usr/bin/python3
"""test_acl_turns.py: what a user was allowed a moment ago says nothing of what it may do now. The broker remembers names that
users were allowed; each test here makes it remember some, then changes who asks, what is asked, or what is allowed.

One I/O thread, so that all connections share what is remembered.
"""
import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, Refused, encode, run_tests  # noqa: E402 (the path comes first)
from rpc import Rpc, RpcError  # noqa: E402

OTHERS = ["~o1.*", "~o2.*", "~o3.*", "~o4.*", "~o5.*"]
PASSWORD = ">secret"

broker = admin = None


def user(name, *rules):
    assert admin.call("ACL", "SETUSER", name, "reset", "on", PASSWORD, "+@connection", *rules) == "OK"


def login(name):
    c = broker.text()
    assert c.call("AUTH", name, "secret") == "OK"
    return c


def may(c, *words):
    answer = c.call_value(*words)
    assert not isinstance(answer, Refused), (words, answer)


def may_not(c, what, *words):
    """what: "topic t" and so on, or what the user may not use."""
    answer = c.call_value(*words)
    assert isinstance(answer, Refused) and answer.code == "NOPERM" and answer.text.endswith(" " + what), (words, what, answer)


def warm(c, *words):
    for _ in range(3):
        may(c, *words)


def test_rules_change_between_two_commands():
    user("ann", "+@produce", *OTHERS, "~t*")
    c = login("ann")
    for rules in (["resettopics"], ["resettopics", "~tt"], ["resettopics", "~T"], ["nocommands", "+@connection"], ["-send"]):
        user("ann", "+@produce", *OTHERS, "~t*")
        warm(c, "SEND", "t", "x")
        assert admin.call("ACL", "SETUSER", "ann", *rules) == "OK"
        answer = c.refused("SEND", "t", "x")
        assert answer.code == "NOPERM", (rules, answer)
    user("ann", "+@produce", "~t")
    may(c, "SEND", "t", "x")
    c.close()


def test_rules_change_in_the_middle_of_a_pipeline():
    """Half of a request is there, and what came before it was allowed, when the rules change."""
    user("ann", "+@produce", *OTHERS, "~t*")
    c = login("ann")
    request = encode("SEND", "t", "x")
    c.send_raw(request * 20 + request[:-5])
    for _ in range(20):
        assert not isinstance(c.read_value(), Refused)
    assert admin.call("ACL", "SETUSER", "ann", "resettopics") == "OK"
    c.send_raw(request[-5:] + request * 20)
    for _ in range(21):
        answer = c.read_value()
        assert isinstance(answer, Refused) and answer.code == "NOPERM", answer
    c.close()


def test_rules_change_while_others_send():
    """A user among several whose connections go on meanwhile."""
    names = [f"u{i}" for i in range(6)]
    for name in names:
        user(name, "+@produce", *OTHERS, "~shared")
    connections = {name: login(name) for name in names}
    for c in connections.values():
        warm(c, "SEND", "shared", "x")
    for i, gone in enumerate(names):
        assert admin.call("ACL", "SETUSER", gone, "resettopics", "~sharee") == "OK"
        for k, name in enumerate(names):
            if k <= i:
                may_not(connections[name], "topic shared", "SEND", "shared", "x")
            else:
                may(connections[name], "SEND", "shared", "x")
    assert admin.call("ACL", "DELUSER", *names) == len(names)


def test_a_user_is_deleted_and_made_again():
    user("ann", "+@produce", "~t*")
    c = login("ann")
    warm(c, "SEND", "t", "x")
    assert admin.call("ACL", "DELUSER", "ann") == 1
    c.send("SEND", "t", "x")
    assert c.socket.recv(1) == b"", "its connection is closed, and nothing was answered"
    user("ann", "+@produce", "~u*")
    c = login("ann")
    may_not(c, "topic t", "SEND", "t", "x")
    may(c, "SEND", "u", "x")
    c.close()


def test_one_connection_is_two_users_in_turn():
    user("ann", "+@produce", *OTHERS, "~a*")
    user("bob", "+@produce", *OTHERS, "~b*")
    c = broker.text()
    for _ in range(5):
        for name, mine, theirs in (("ann", "a", "b"), ("bob", "b", "a")):
            assert c.call("AUTH", name, "secret") == "OK"
            warm(c, "SEND", mine, "x")
            may_not(c, f"topic {theirs}", "SEND", theirs, "x")
    c.send_raw(b"".join(encode("AUTH", n, "secret") + encode("SEND", "a", "x") for n in ("ann", "bob") * 5))
    for i in range(10):
        assert c.read_value() == "OK"
        answer = c.read_value()
        assert isinstance(answer, Refused) == bool(i % 2), (i, answer)
    c.close()


def test_nobody_is_who_was_somebody():
    user("ann", "+@produce", "~a*")
    c = login("ann")
    warm(c, "SEND", "a", "x")
    assert admin.call("ACL", "SETUSER", "default", "resettopics") == "OK"
    assert c.call("RESET") == "RESET"
    may_not(c, "topic a", "SEND", "a", "x")
    assert admin.call("ACL", "SETUSER", "default", "alltopics") == "OK"
    may(c, "SEND", "a", "x")
    c.close()


def test_a_failed_login_changes_nothing():
    user("ann", "+@produce", "~a*")
    user("bob", "+@produce", "~b*")
    c = login("ann")
    warm(c, "SEND", "a", "x")
    assert c.refused("AUTH", "bob", "wrong").code == "WRONGPASS"
    may(c, "SEND", "a", "x")
    may_not(c, "topic b", "SEND", "b", "x")
    c.close()


def test_multi_is_judged_again():
    user("ann", "+@produce", "~a*")
    c = login("ann")
    warm(c, "SEND", "a", "x")
    assert c.call("MULTI") == "OK"
    may_not(c, "topic b", "SEND", "b", "x")
    assert c.refused("EXEC").code == "EXECABORT"
    assert c.call("MULTI") == "OK"
    assert c.call("SEND", "a", "x") == "QUEUED"
    assert c.call("SEND", "aa", "x") == "QUEUED"
    assert admin.call("ACL", "SETUSER", "ann", "resettopics", "~a") == "OK"
    assert c.refused("EXEC").code == "EXECABORT"
    may(c, "SEND", "a", "x")
    may_not(c, "topic aa", "SEND", "aa", "x")
    c.close()


def test_names_that_look_alike():
    user("ann", "+@produce", *OTHERS, "~abc", "~ab?d", "~" + "n" * 110, "~" + "m" * 111)
    c = login("ann")
    allowed = ["abc", "abxd", "ab1d", "n" * 110, "m" * 111]
    refused = ["abd", "ab", "abcd1", "a", "Abc", "abC", "xbc", "n" * 109, "n" * 111, "n" * 109 + "m", "m" * 110, "m" * 112,
               "m" * 110 + "n", "x" + "n" * 109, "o1", "o1x"]
    for _ in range(3):
        for good in allowed:
            warm(c, "SEND", good, "x")
            for bad in refused:
                may_not(c, f"topic {bad}", "SEND", bad, "x")
    c.close()


def test_more_names_than_are_remembered():
    user("ann", "+@produce", *OTHERS, "~k*7")
    c = login("ann")
    for i in range(400):
        if i % 10 == 7:
            warm(c, "SEND", f"k{i}", "x")
        else:
            may_not(c, f"topic k{i}", "SEND", f"k{i}", "x")
    c.close()


def test_a_name_of_another_kind():
    """The same word is a topic here, a group there, and a producer group elsewhere."""
    user("ann", "+@produce", "+@consume", "+@txn", "+read", "~n", "group:g", "pgroup:p")
    c = login("ann")
    for _ in range(3):
        warm(c, "SEND", "n", "x")
        may_not(c, "group n", "POP", "n", "n")
        may_not(c, "producer group n", "HALF", "n", "n", "x")
        warm(c, "POP", "g", "n")
        may_not(c, "topic g", "SEND", "g", "x")
        may_not(c, "topic g", "POP", "g", "g")
        may_not(c, "group n", "ACK", "n", "n:0:0#1")
        may_not(c, "topic g", "ACK", "g", "g:0:0#1")
        may_not(c, "topic p", "POP", "g", "n", "p")
        warm(c, "HALF", "p", "n", "x")
        may_not(c, "topic p", "HALF", "p", "p", "x")
        may_not(c, "group p", "POP", "p", "n")
        may_not(c, "topic %DLQ%n", "READ", "%DLQ%n", "0", "0")
        may_not(c, "topic %RETRY%n", "POP", "g", "%RETRY%n")
    c.close()


def test_a_right_that_another_command_has():
    """The name was allowed, but not for this command."""
    user("ann", "+send", "+pop", "~n", "group:g")
    c = login("ann")
    warm(c, "SEND", "n", "x")
    warm(c, "POP", "g", "n")
    for words, name in ((("READ", "n", "0", "0"), "READ"), (("MSEND", "n", "x"), "MSEND"), (("ACK", "g", "n:0:0#1"), "ACK"),
                        (("TOPIC", "DELETE", "n"), "TOPIC DELETE"), (("GROUP", "DELETE", "g"), "GROUP DELETE")):
        may_not(c, name, *words)
    c.close()


def test_both_dialects_in_turn():
    user("ann", "+@produce", *OTHERS, "~a*")
    user("bob", "+@produce", *OTHERS, "~b*")
    text, rpc = login("ann"), Rpc(broker.port)
    assert rpc.call("auth", user="bob", **{"pass": "secret"}) == "OK"

    def refused(topic):
        try:
            return rpc.call("send", topic=topic, body=b"x")
        except RpcError as error:
            return error.code
    for _ in range(3):
        warm(text, "SEND", "a", "x")
        assert refused("a") == "NOPERM"
        assert refused("b").startswith("b:")
        may_not(text, "topic b", "SEND", "b", "x")
    assert admin.call("ACL", "SETUSER", "bob", "resettopics", "~a") == "OK"
    assert refused("b") == "NOPERM"
    assert refused("a").startswith("a:")
    assert admin.call("ACL", "SETUSER", "ann", "resettopics", "~b") == "OK"
    may_not(text, "topic a", "SEND", "a", "x")
    may(text, "SEND", "b", "x")
    text.close()
    rpc.socket.close()


def test_bounds_count_all_the_same():
    user("ann", "+@produce", "~a", "rate:5")
    c = login("ann")
    said = [c.call_value("SEND", "a", "x") for _ in range(20)]
    assert any(isinstance(answer, Refused) and answer.code == "BUSY" for answer in said), said
    assert admin.call("ACL", "SETUSER", "ann", "rate:0") == "OK"
    warm(c, "SEND", "a", "x")
    c.close()


def test_who_is_switched_off():
    user("ann", "+@produce", "~a")
    c = login("ann")
    warm(c, "SEND", "a", "x")
    assert admin.call("ACL", "SETUSER", "ann", "off") == "OK"
    assert c.socket.recv(1) == b""
    assert admin.call("ACL", "SETUSER", "ann", "on", "resettopics", "~b") == "OK"
    c = login("ann")
    may_not(c, "topic a", "SEND", "a", "x")
    c.close()


def main():
    global broker, admin
    with Broker("--auto_create_topics", "yes", "--io_threads", "1") as broker:
        admin = broker.text()
        return run_tests(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(main())
