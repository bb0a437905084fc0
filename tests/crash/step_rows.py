"""step_rows.py: the table "what happens when X dies at step Y" of docs/transactions.md, one function for each row.

Each function gets a stage (stage.py), runs everything up to the step, kills a process, and lets stage.ends()
check the result. steps.py checks that the rows here and in the table have the same ids.
"""
from broker import Refused, eventually
from proxy import TXID

ROWS = {}  # id -> (function, kinds of service to run it with, flags for the broker)

ID = rb"orders:\d:\d"  # in the reply to COMMIT

ALL = ("python", "c", "postgres")


def row(name, kinds=ALL, flags=()):
    def add(function):
        ROWS[name] = (function, kinds, flags)
        return function
    return add


def refused(stage, code, *words):
    try:
        value = stage.call(*words)
    except Refused as error:
        assert error.code == code, error
        return
    raise AssertionError(f"{words} was answered {value!r}")


def killed_at(stage, hold, pattern):
    """Sends an order through a service, and kills the service when the pattern passes the proxy."""
    hold(pattern)
    service = stage.first()
    service.order("1")
    stage.net.wait_held()
    service.kill()
    stage.net.lose()
    # Otherwise the broker might still send a check to the dead service, and that ask would count.
    eventually(lambda: stage.metric("halfmq_connections") == 0, "the broker knows that it is gone")


# ---- the service dies

@row("S1")
def before_half(stage):
    killed_at(stage, stage.net.hold_request, rb"half")
    assert stage.pending() == 0
    stage.ends()


@row("S2")
def after_half(stage):
    killed_at(stage, stage.net.hold_answer, TXID)
    assert stage.published() == []
    stage.service()
    stage.ask()
    stage.ends()
    assert stage.info()["state"] == b"rolledback"


@row("S3")
def inside_the_database_transaction(stage):
    service = stage.first()
    service.order("0")
    service.says("0 taken")
    stage.net.txids.clear()
    stage.db.lock()
    service.order("1")
    stage.db.wait_inside(stage)
    service.kill()
    stage.db.unlock()
    stage.service()
    stage.ask()
    stage.ends("0")


@row("S4")
def after_the_database_commit(stage):
    killed_at(stage, stage.net.hold_request, rb"commit")
    assert stage.published() == []
    stage.service()
    stage.ask()
    stage.ends("1")


@row("S5")
def before_the_answer_to_commit(stage):
    killed_at(stage, stage.net.hold_answer, ID)
    stage.ends("1")
    assert stage.info()["checks"] == 0


@row("S6")
def while_being_asked(stage):
    killed_at(stage, stage.net.hold_request, rb"commit")
    stage.net.hold_answer(rb"attempt")
    second = stage.first()
    stage.ask()
    stage.net.wait_held()
    second.kill()
    stage.net.lose()
    stage.service()
    stage.ends("1")
    assert stage.info()["checks"] >= 1


@row("S7")
def all_of_them(stage):
    killed_at(stage, stage.net.hold_request, rb"commit")
    stage.ask()
    stage.let_asks_pass()
    info = stage.info()
    assert (info["state"], info["checks"]) == (b"pending", 0), info
    stage.service()
    stage.ends("1")


@row("S8")
def between_looking_up_and_answering(stage):
    killed_at(stage, stage.net.hold_answer, TXID)
    stage.net.hold_request(rb"rollback")
    second = stage.first()
    stage.ask()
    stage.net.wait_held()
    second.kill()
    stage.net.lose()
    assert stage.db.rows("SELECT taken FROM outcomes") == [("0",)]
    stage.service()
    stage.ends()


@row("S9")
def not_dead_but_slow(stage):
    stage.net.hold_answer(TXID)
    slow = stage.first()
    slow.order("1")
    stage.net.wait_held()
    stage.service()
    stage.ask()
    eventually(lambda: stage.info()["state"] == b"rolledback", "the other one answers")
    stage.net.pass_on()
    slow.says("1 refused")
    stage.ends()


# ---- the broker dies

def broker_killed_at(stage, hold, pattern):
    """Kills the broker when the pattern passes. The service lives, and its order must succeed all the same."""
    hold(pattern)
    service = stage.first()
    service.order("1")
    stage.net.wait_held()
    stage.restart_broker()
    stage.net.lose()
    service.says("1 taken")
    stage.ends("1")


@row("B1")
def broker_before_half(stage):
    broker_killed_at(stage, stage.net.hold_request, rb"half")


@row("B2")
def broker_before_the_answer_to_half(stage):
    broker_killed_at(stage, stage.net.hold_answer, TXID)
    assert len(stage.net.txids) == 1, "asked again, it is the same transaction"


@row("B3")
def broker_before_commit(stage):
    broker_killed_at(stage, stage.net.hold_request, rb"commit")


@row("B4")
def broker_before_the_answer_to_commit(stage):
    broker_killed_at(stage, stage.net.hold_answer, ID)


@row("B5")
def broker_after_commit(stage):
    service = stage.first()
    service.order("1")
    service.says("1 taken")
    ids = stage.call("COMMIT", stage.txid())
    stage.restart_broker()
    assert stage.call("COMMIT", stage.txid()) == ids
    stage.ends("1")


@row("B6")
def broker_after_rollback(stage):
    service = stage.first()
    service.order("1", "pear", 1000)
    service.says("1 refused")
    stage.restart_broker()
    refused(stage, "TXNCONFLICT", "COMMIT", stage.txid())
    assert stage.call("ROLLBACK", stage.txid()) == "OK"
    stage.ends()


@row("B7")
def broker_while_it_asks(stage):
    killed_at(stage, stage.net.hold_request, rb"commit")
    stage.net.hold_answer(rb"attempt")
    stage.first()
    stage.ask()
    stage.net.wait_held()
    stage.restart_broker()
    stage.net.lose()
    stage.ends("1")


@row("B8", kinds=("python",))
def broker_at_commit_with_ack(stage):
    """Sends the commands without a service: the first time the request is held, the second time the reply."""
    for hold, done in ((stage.net.hold_request, False), (stage.net.hold_answer, True)):
        topic = f"in{int(done)}"
        stage.call("SEND", topic, "input")
        receipt = stage.call("POP", "g", topic)[0][0]
        txid = stage.call("HALF", "pg", f"out{int(done)}", "output")
        hold(rb"out1:\d" if done else rb"commit")
        client = stage.broker.text()
        client.close()
        client = type(client)(stage.net.port)
        client.send("COMMIT", txid, "ACK", "g", receipt)
        stage.net.wait_held()
        stage.restart_broker()
        stage.net.lose()
        client.close()
        lag = {r["topic"].decode(): r["lag"] for r in stage.call("LAG", "g")}
        assert lag[topic] == (0 if done else 1), lag
        assert stage.published(f"out{int(done)}") == (["output"] if done else [])
        assert len(stage.call("COMMIT", txid, "ACK", "g", receipt)) == 1
        assert stage.published(f"out{int(done)}") == ["output"]
    assert sum(r["lag"] for r in stage.call("LAG", "g")) == 0


@row("B9")
def broker_and_service(stage):
    stage.net.hold_request(rb"commit")
    service = stage.first()
    service.order("1")
    stage.net.wait_held()
    stage.broker.kill()
    service.kill()
    stage.net.lose()
    stage.broker.start()
    stage.service()
    stage.ask()
    stage.ends("1")


# ---- the database dies

PG = ("postgres",)


@row("D1", kinds=PG)
def database_before_its_transaction(stage):
    service = stage.first()
    service.order("0")
    service.says("0 taken")
    stage.db.postgres.kill()
    service.order("1")
    service.says("1 refused")
    stage.db.postgres.start()
    stage.ends("0")


@row("D2", kinds=PG)
def database_inside_its_transaction(stage):
    service = stage.first()
    service.order("0")
    service.says("0 taken")
    stage.db.lock()
    service.order("1")
    stage.db.wait_inside(stage)
    stage.db.postgres.kill()
    service.says("1 refused")
    stage.db.unlock()
    stage.db.postgres.start()
    stage.ends("0")


def database_killed_at(stage, hold, end):
    service = stage.first()
    service.order("0")
    service.says("0 taken")
    stage.net.txids.clear()
    hold(rb"commit")  # here "commit" is SQL, and the server's reply to it
    service.order("1")
    stage.db.net.wait_held()
    stage.db.postgres.kill()
    stage.db.net.lose()
    service.says("1 failed")
    stage.db.postgres.start()
    stage.ask()
    stage.ends(*end)


@row("D3", kinds=PG)
def database_before_its_commit(stage):
    database_killed_at(stage, stage.db.net.hold_request, ["0"])


@row("D4", kinds=PG)
def database_before_the_answer_to_its_commit(stage):
    database_killed_at(stage, stage.db.net.hold_answer, ["0", "1"])


@row("D5", kinds=PG)
def database_when_it_is_to_be_looked_up(stage):
    killed_at(stage, stage.net.hold_request, rb"commit")
    stage.net.hold_answer(rb"attempt")
    stage.first()
    stage.ask()
    stage.net.wait_held()
    stage.db.postgres.kill()
    stage.net.pass_on()
    eventually(lambda: stage.info()["checks"] >= 3, "it is asked again and again")
    assert stage.info()["state"] == b"pending"
    stage.db.postgres.start()
    stage.ends("1")


@row("D6", kinds=PG)
def database_has_not_finished(stage):
    other, service = stage.service(), stage.first()
    other.order("0")
    other.says("0 taken")
    stage.db.lock()
    service.order("1")
    stage.db.wait_inside(stage)
    service.kill()  # its connection is closed, but the server still works on its statement
    stage.ask()
    eventually(lambda: stage.info()["checks"] >= 1, "the other one is asked")
    stage.db.unlock()
    stage.ends("0")


# ---- the network fails

def lost(stage, hold, pattern):
    hold(pattern)
    service = stage.first()
    service.order("1")
    stage.net.wait_held()
    stage.net.lose()
    service.says("1 taken")
    stage.ends("1")


@row("N1")
def half_lost(stage):
    lost(stage, stage.net.hold_request, rb"half")


@row("N2")
def answer_to_half_lost(stage):
    lost(stage, stage.net.hold_answer, TXID)
    assert len(stage.net.txids) == 1, "asked again, it is the same transaction"


@row("N3")
def commit_lost(stage):
    lost(stage, stage.net.hold_request, rb"commit")


@row("N4")
def answer_to_commit_lost(stage):
    lost(stage, stage.net.hold_answer, ID)
    assert stage.call("COMMIT", stage.txid()) == stage.info()["ids"]


@row("N5")
def question_lost(stage):
    killed_at(stage, stage.net.hold_request, rb"commit")
    stage.net.hold_answer(rb"attempt")
    stage.first()
    stage.ask()
    stage.net.wait_held()
    stage.net.lose()
    stage.ends("1")


@row("N6")
def answer_to_the_question_lost(stage):
    killed_at(stage, stage.net.hold_request, rb"commit")
    stage.net.hold_request(rb"commit")
    stage.first()
    stage.ask()
    stage.net.wait_held()
    stage.net.lose()
    stage.ends("1")


@row("N7")
def service_cut_off(stage):
    stage.net.hold_request(rb"commit")
    far = stage.first()
    far.order("1")
    stage.net.wait_held()
    stage.net.cut()
    stage.net.lose()
    stage.service()
    stage.ask()
    stage.ends("1")
    stage.net.mend()
    far.says("1 taken")
    stage.ends("1")


@row("N8")
def two_answers(stage):
    """Two members answer differently; the second may have read a replica of the database that lags behind."""
    killed_at(stage, stage.net.hold_request, rb"commit")
    ids = stage.call("COMMIT", stage.txid())
    refused(stage, "TXNCONFLICT", "ROLLBACK", stage.txid())
    assert stage.call("COMMIT", stage.txid()) == ids
    stage.ends("1")


# ---- no member decides

def parked(stage):
    eventually(lambda: stage.info()["state"] == b"parked", "it is parked")
    assert stage.published() == []
    stage.restart_broker()
    assert stage.info()["state"] == b"parked"
    assert len(stage.call("COMMIT", stage.txid())) == 1
    stage.ends("1")


@row("P1", flags=("--check_max", "2"))
def nobody_knows(stage):
    killed_at(stage, stage.net.hold_request, rb"commit")
    stage.ask()
    for _ in range(2):
        assert len(stage.call("CHECKS", "shop", "WAIT", "30s")) == 1
    parked(stage)
    assert stage.info()["checks"] == 2


@row("P2", flags=("--txn_timeout", "500ms"))
def nobody_is_there(stage):
    killed_at(stage, stage.net.hold_request, rb"commit")
    parked(stage)
    assert stage.info()["checks"] == 0
