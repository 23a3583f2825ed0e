"""The contract: Avro schemas, models, codec, schema ids, topics, event types, errors."""
