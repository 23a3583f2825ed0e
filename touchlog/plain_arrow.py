"""Arrow that every reader understands, whatever DuckDB's setting `arrow_lossless_conversion` is in this process.

With it on, which the fold wants, ids and JSON leave as extension types, booleans as bytes, and sums of integers
(HUGEINT) as opaque ones. Here they become text, booleans and decimals again, as with it off.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HUGEINT = pa.decimal128(38, 0)
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)
_DASHES = (8, 13, 18, 23)
_DIGITS = [place for place in range(36) if place not in _DASHES]


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema that `plain_batch` gives."""
    return pa.schema([field.with_type(_plain_type(field.type)) for field in schema])


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without extension types, also inside lists, records and maps."""
    schema = plain_schema(batch.schema)
    if schema.equals(batch.schema):
        return batch
    return pa.RecordBatch.from_arrays([_plain(column) for column in batch.columns], schema=schema)


def plain_table(table: pa.Table) -> pa.Table:
    """As `plain_batch`, of a table."""
    return pa.Table.from_batches([plain_batch(batch) for batch in table.to_batches()], plain_schema(table.schema))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    match kind:
        case pa.UuidType() | pa.JsonType():
            return pa.string()
        case pa.Bool8Type():
            return pa.bool_()
        case pa.OpaqueType():
            return HUGEINT if kind.type_name in {"hugeint", "uhugeint"} else kind.storage_type
        case pa.ListType():
            return pa.list_(_plain_field(kind.value_field))
        case pa.FixedSizeListType():
            return pa.list_(_plain_field(kind.value_field), kind.list_size)
        case pa.MapType():
            return pa.map_(_plain_field(kind.key_field), _plain_field(kind.item_field))
        case pa.StructType():
            return pa.struct([_plain_field(kind.field(place)) for place in range(kind.num_fields)])
        case _:
            return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain_type(field.type))


def _plain(array: pa.Array) -> pa.Array:
    kind = array.type
    wanted = _plain_type(kind)
    if wanted.equals(kind):
        return array
    match kind:
        case pa.UuidType():
            return _uuid_text(array)
        case pa.Bool8Type():
            return pc.not_equal(array.storage, 0)
        case pa.OpaqueType() if wanted == HUGEINT:
            # The same sixteen bytes: two's complement, the lowest byte first.
            return pa.Array.from_buffers(HUGEINT, len(array), array.storage.buffers(), offset=array.offset)
        case pa.BaseExtensionType():
            return array.storage
        case pa.StructType():
            children = [_plain(child) for child in array.flatten()]
            return pa.StructArray.from_arrays(children, fields=list(wanted), mask=pc.is_null(array))
        case pa.MapType():
            # With the keys' field as it is: a key is never null.
            fields = [_plain_field(kind.key_field), _plain_field(kind.item_field)]
            values = pa.StructArray.from_arrays([_plain(array.keys), _plain(array.items)], fields=fields)
        case _:
            values = _plain(array.values)
    buffers = array.buffers()[: 1 if isinstance(kind, pa.FixedSizeListType) else 2]
    return pa.Array.from_buffers(wanted, len(array), buffers, offset=array.offset, children=[values])


def _uuid_text(array: pa.Array) -> pa.Array:
    size = len(array)
    data = np.frombuffer(array.storage.buffers()[1] or b"", np.uint8)[16 * array.offset : 16 * (array.offset + size)]
    text = np.full((size, 36), ord("-"), np.uint8)
    text[:, _DIGITS] = _HEX[data.reshape(size, 16)].reshape(size, 32)
    offsets = np.arange(0, 36 * size + 1, 36, dtype=np.int32)
    spelt = pa.Array.from_buffers(pa.string(), size, [None, pa.py_buffer(offsets), pa.py_buffer(text)])
    return pc.if_else(array.storage.is_valid(), spelt, None) if array.null_count else spelt
