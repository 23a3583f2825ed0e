"""The limit: consume everything and look at nothing.

python drain.py BOOTSTRAP STORE MEANINGS RECORDS BATCH
"""

import json
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition


def main(bootstrap: str, _store: str, meanings: str, records: str, size: str) -> None:
    """Consume that many records."""
    topics = json.loads(Path(meanings).read_text("utf-8"))["types"]
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "drain", "enable.auto.commit": False})
    found = consumer.list_topics(timeout=30).topics
    consumer.assign([TopicPartition(topic, at, 0) for topic in topics for at in found[topic].partitions])
    left, began = int(records), 0.0
    while left > 0:
        messages = consumer.consume(int(size), 1.0)
        if messages and not began:
            began = time.time()
        left -= len(messages)
    print(json.dumps({"began_at": began, "committed_at": time.time()}))
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
