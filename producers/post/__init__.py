"""Post: one module a format, each with its `FORMAT`; the rest is what several of them share.

An item is known by its piece: Lob's id or the carrier's barcode. A letter whose recipient nobody names is keyed
`anonymous:piece:<id>`, which is nobody's identity; its events still find each other by `message_ref`.
"""
