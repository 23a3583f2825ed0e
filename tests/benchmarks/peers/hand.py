"""A loop as one would write it by hand: confluent-kafka, fastavro, DuckDB.

python hand.py BOOTSTRAP STORE MEANINGS RECORDS BATCH
"""

import sys
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from states import Reader, States


def main(bootstrap: str, store: str, meanings: str, records: str, size: str) -> None:
    """Fold that many records, from the stored offsets on."""
    reader = Reader(Path(meanings))
    states = States(Path(store), reader)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "hand", "enable.auto.commit": False})
    stored = states.positions()
    partitions = [
        (topic, partition)
        for topic, found in consumer.list_topics(timeout=30).topics.items()
        if topic in reader.types
        for partition in found.partitions
    ]
    consumer.assign([TopicPartition(*at, stored.get(at, 0)) for at in partitions])
    left = int(records)
    while left > 0:
        messages = consumer.consume(int(size), 1.0)
        moved = {(message.topic(), message.partition()): message.offset() + 1 for message in messages}
        decoded = [(message.topic(), reader.decode(message.topic(), message.value())) for message in messages]
        if decoded:
            states.fold(decoded, moved)
        left -= len(messages)
    consumer.close()
    states.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
