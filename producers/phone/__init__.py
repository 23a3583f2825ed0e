"""Phone: one module a format, each with its `FORMAT`; the rest is what several of them share.

Every event of a call that a customer made is `inbound`. Of a call that we made, `call.initiated` is `outbound` and
what becomes of it is a `report`. Work on the case after a call is `outbound`.
"""
