"""Phone: the formats that are understood.

twilio      Twilio's Voice status callbacks
calls       call records of a telephone system or a service desk

Every event of a call that a customer made is `inbound`. Of a call that we made, `call.initiated` is `outbound` and
what becomes of it is a `report`. Work on the case after a call is `outbound`.
"""

from producers.format import Format
from producers.phone_records import call_events, is_call_records
from producers.phone_twilio import is_twilio, twilio_events, twilio_payloads
from producers.tables import table_payloads

FORMATS: tuple[Format, ...] = (
    Format(
        name="twilio",
        channel="phone",
        title="Twilio Voice status callbacks, form-encoded or JSON, one a line",
        recognises=is_twilio,
        payloads=twilio_payloads,
        events=twilio_events,
    ),
    Format(
        name="calls",
        channel="phone",
        title="call records of a telephone system or a service desk, CSV",
        recognises=is_call_records,
        payloads=table_payloads,
        events=call_events,
    ),
)
