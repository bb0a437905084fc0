"""peers: the other brokers, each with a driver that starts it, loads it with its own tester, stops it.

    DRIVERS   name -> class; each knows
      .title            name and version as the table shows them
      .missing(peers)   "" or the sentence that says what is not installed
      .start() .stop()  loopback only, data below the folder it was given
      .works            Work(key, title, fsync, load): load() gives (a rate per second, its command line)

A Work's key says which load of HalfMQ it stands beside (suite/peers.py): send, txn, batch, consume, e2e.
To add a broker: a file with a class like these, and a line in DRIVERS.
"""


def drivers():
    from peers.kafka import Kafka
    from peers.nats import Nats
    from peers.rabbitmq import RabbitMQ
    from peers.rocketmq import RocketMQ
    return {"rocketmq": RocketMQ, "kafka": Kafka, "nats": Nats, "rabbitmq": RabbitMQ}
