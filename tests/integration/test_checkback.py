#!/usr/bin/python3
"""test_checkback.py: tests which member is asked, and when an ask counts.

Each check goes to one member. If a member closes its connection before it answers, the ask is taken back and
another member is asked at once. Without a member a transaction stays pending, and no ask counts.
"""
import json
import os
import re
import sys
import threading
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

from broker import Broker, eventually, pairs, run_tests  # noqa: E402 (the path comes first)
from test_msgpack import Rpc  # noqa: E402

MANY = 10000

broker = None
groups = iter(range(1000000))


class Subscriber:
    """A member that has sent SUBSCRIBE check:<pgroup>."""

    def __init__(self, pgroup):
        self.client = broker.text()
        self.id = self.client.call("CLIENT", "ID")
        assert self.client.call("SUBSCRIBE", "check:" + pgroup)[0] == b"subscribe"

    def check(self):
        kind, _, payload = self.client.read()
        assert kind == b"message", kind
        return json.loads(payload)

    def leave(self):
        """Closes the connection and waits until the broker has noticed."""
        self.client.close()
        c = broker.text()
        eventually(lambda: f"id={self.id} ".encode() not in c.call("CLIENT", "LIST"),
                   "the subscriber has gone")
        c.close()


class Server:
    """A member that has sent checks_serve."""

    def __init__(self, pgroup):
        self.client = Rpc(broker.port)
        self.id = self.client.call("client", arg=["ID"])
        assert self.client.call("checks_serve", pgroup=pgroup) == "OK"

    def check(self):
        self.request_id, method, params = self.client.request()
        assert method == "check", method
        return params[0]

    def answer(self, word):
        self.client.answer(self.request_id, word)

    def leave(self):
        self.client.socket.close()


def a_group():
    return f"pg{next(groups)}"


def info(c, txid):
    return pairs(c.call("TXN", "INFO", txid))


def half(c, pgroup, *options):
    return c.call("HALF", pgroup, "t", "body", *options).decode()


def asks_another(member):
    c, pgroup = broker.text(), a_group()
    first, asked = member(pgroup), None
    txid = half(c, pgroup, "CHECKIN", 0)
    asked = first.check()
    assert (asked["txid"], asked["attempt"]) == (txid, 1), asked
    second = Subscriber(pgroup)
    first.leave()
    asked = second.check()
    assert (asked["txid"], asked["attempt"]) == (txid, 1), asked
    assert info(c, txid)["checks"] == 1
    c.call("COMMIT", txid)


def test_a_subscriber_that_goes():
    asks_another(Subscriber)


def test_a_server_that_goes():
    asks_another(Server)


def test_a_closed_client_is_cut_by_hand():
    c, pgroup = broker.text(), a_group()
    first = Subscriber(pgroup)
    txid = half(c, pgroup, "CHECKIN", 0)
    first.check()
    second = Server(pgroup)
    c.call("CLIENT", "KILL", first.id)
    assert second.check()["txid"] == txid
    second.answer("rollback")
    eventually(lambda: info(c, txid)["state"] == b"rolledback", "the answer decides")


def test_the_last_member_goes():
    c, pgroup = broker.text(), a_group()
    only = Server(pgroup)
    txid = half(c, pgroup, "CHECKIN", 0)
    only.check()
    assert info(c, txid)["checks"] == 1
    only.leave()
    eventually(lambda: info(c, txid)["checks"] == 0, "the ask does not count")
    assert json.loads(c.call("CHECKS", pgroup, "WAIT", "30s")[0])["attempt"] == 1
    c.call("ROLLBACK", txid)


def test_many_asks_of_one_that_goes():
    """A member leaves with more asks than one UNASK command can take back."""
    c, pgroup = broker.text(), a_group()
    first = Server(pgroup)
    for _ in range(600):
        c.send("HALF", pgroup, "t", "x", "CHECKIN", 0)
    txids = {c.read().decode() for _ in range(600)}
    assert {first.check()["txid"] for _ in range(600)} == txids
    second = Subscriber(pgroup)
    first.leave()
    asked = [second.check() for _ in range(600)]
    assert {a["txid"] for a in asked} == txids and {a["attempt"] for a in asked} == {1}


def test_a_server_that_takes_it_back():
    """After checks_unserve it is asked no more; an error in place of an answer means the same."""
    c, pgroup = broker.text(), a_group()
    first = Server(pgroup)
    assert first.client.call("checks_unserve", pgroup=pgroup) == "OK"
    assert first.client.call("checks_unserve", pgroup=pgroup) == "OK"
    assert pairs(c.call("PGROUP", "INFO", pgroup))["members"] == 0
    txid = half(c, pgroup, "CHECKIN", 0)
    second = Server(pgroup)
    assert (second.check()["txid"], info(c, txid)["checks"]) == (txid, 1)
    second.client.refuse(second.request_id, "not here")
    eventually(lambda: info(c, txid)["checks"] == 0, "the ask does not count")
    assert pairs(c.call("PGROUP", "INFO", pgroup))["members"] == 0
    third = Server(pgroup)
    asked = third.check()
    assert (asked["txid"], asked["attempt"]) == (txid, 1), asked
    third.answer("rollback")
    eventually(lambda: info(c, txid)["state"] == b"rolledback", "the answer decides")


def test_what_was_answered_stands():
    c, pgroup = broker.text(), a_group()
    first = Subscriber(pgroup)
    unsure, waits = half(c, pgroup, "CHECKIN", 0), half(c, pgroup, "CHECKIN", 0)
    assert {first.check()["txid"], first.check()["txid"]} == {unsure, waits}
    assert c.call("UNKNOWN", unsure) == "OK"  # on another connection, as redis-py does it
    assert c.call("TXN", "EXTEND", waits, "1h") == "OK"
    before = [info(c, t)["next_check"] for t in (unsure, waits)]
    first.leave()
    third = half(c, pgroup, "CHECKIN", 0)
    second = Subscriber(pgroup)
    assert second.check()["txid"] == third
    assert [info(c, t)["next_check"] for t in (unsure, waits)] == before
    assert [info(c, t)["checks"] for t in (unsure, waits)] == [1, 1]


def test_one_asked_long_ago_goes():
    """A member leaves whose ask is not the newest one. Another member has the newest ask, and keeps it."""
    c, pgroup = broker.text(), a_group()
    first = Subscriber(pgroup)
    txid = half(c, pgroup, "CHECKIN", 0)
    first.check()
    first.client.call("UNSUBSCRIBE")
    second = Server(pgroup)
    c.call("TXN", "EXTEND", txid, 0)
    assert second.check()["attempt"] == 2
    first.leave()
    c.call("PING")
    assert info(c, txid)["checks"] == 2
    second.leave()
    eventually(lambda: info(c, txid)["checks"] == 1, "the newest ask is taken back")


def test_who_polls_need_not_stay():
    c, poller, pgroup = broker.text(), broker.text(), a_group()
    txid = half(c, pgroup, "CHECKIN", 0)
    assert json.loads(poller.call("CHECKS", pgroup)[0])["txid"] == txid
    number = poller.call("CLIENT", "ID")
    poller.close()
    eventually(lambda: f"id={number} ".encode() not in c.call("CLIENT", "LIST"), "it has gone")
    assert info(c, txid)["checks"] == 1
    assert c.call("COMMIT", txid)


def test_a_poller_that_goes_while_it_waits():
    c, poller, pgroup = broker.text(), broker.text(), a_group()
    poller.send("CHECKS", pgroup, "WAIT", "1h")
    eventually(lambda: waiters() == 1, "it waits")
    poller.close()
    eventually(lambda: waiters() == 0, "it has gone")
    txid = half(c, pgroup, "CHECKIN", 0)
    assert json.loads(c.call("CHECKS", pgroup, "WAIT", "30s")[0])["attempt"] == 1
    c.call("ROLLBACK", txid)


def metrics():
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/metrics") as page:
        return page.read().decode()


def metric(name):
    return int(re.search(rf"^{name} (\d+)$", metrics(), re.M).group(1))


def waiters():
    return metric("halfmq_waiters")


def transactions(c):
    """Returns the section `transactions` of INFO as a dict."""
    lines = c.call("INFO", "transactions").decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def unserved(c):
    told = transactions(c)
    names = told["unserved"].split(",") if told["unserved"] else []
    assert int(told["producer_groups_unserved"]) == len(names)
    return names


def members_of(c, pgroup):
    return pairs(c.call("PGROUP", "INFO", pgroup))["members"]


def test_a_group_without_members():
    """Transactions of a group without members stay pending without an ask, and INFO and /metrics show the group,
    until there is a member."""
    c, lonely, not_due = broker.text(), a_group(), a_group()
    half(c, not_due, "CHECKIN", "1h")
    txid = half(c, lonely, "CHECKIN", 0)
    eventually(lambda: lonely in unserved(c), "INFO tells its name")
    assert not_due not in unserved(c)
    assert metric("halfmq_producer_groups_unserved") == len(unserved(c))
    assert info(c, txid)["checks"] == 0
    member = Server(lonely)
    member.check()
    assert lonely not in unserved(c) and members_of(c, lonely) == 1
    member.leave()
    eventually(lambda: lonely in unserved(c) and members_of(c, lonely) == 0, "its member has gone")
    assert json.loads(c.call("CHECKS", lonely)[0])["txid"] == txid
    poller = broker.text()
    poller.send("CHECKS", lonely, "WAIT", "1h")
    eventually(lambda: waiters() == 1, "a poller waits")
    c.call("TXN", "EXTEND", txid, 0)
    assert json.loads(poller.read()[0])["attempt"] == 2
    assert lonely not in unserved(c)
    c.call("ROLLBACK", txid)


def gather(member, asked):
    """Takes all checks that it gets, until its connection is closed."""
    try:
        while True:
            asked.append(member.check())
    except (EOFError, OSError):
        pass


def all_are_handed_over(kind):
    """Ten thousand checks become due within one second. Each goes to one of two members, once."""
    c, pgroup = broker.text(), a_group()
    handed = metric("halfmq_checks_handed_total")
    txids, asked = set(), []
    for at in range(0, MANY, 500):
        for i in range(at, at + 500):
            c.send("HALF", pgroup, "many", "x", "CHECKIN", 2000 - i // 10)
        txids |= {c.read().decode() for _ in range(500)}
    members = [kind(pgroup), kind(pgroup)]
    threads = [threading.Thread(target=gather, args=(m, asked)) for m in members]
    for thread in threads:
        thread.start()
    eventually(lambda: metric("halfmq_checks_handed_total") == handed + MANY, "all are handed over")
    eventually(lambda: len(asked) == MANY, "all have arrived")
    until_then = list(asked)  # when one member is disconnected, its unanswered checks may go to the other
    for member in members:
        c.call("CLIENT", "KILL", member.id)
    for thread in threads:
        thread.join()
    assert {a["txid"] for a in until_then} == txids and len(until_then) == MANY, len(until_then)
    assert {a["attempt"] for a in until_then} == {1}


def test_ten_thousand_by_subscribe():
    all_are_handed_over(Subscriber)


def test_ten_thousand_by_request():
    all_are_handed_over(Server)


def main():
    global broker
    with Broker("--checkin", "1h", "--check_every", "1h") as broker:
        return run_tests(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(main())
