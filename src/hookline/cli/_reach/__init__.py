"""How a command reaches what it is about: a database, or a server's REST API.

A command is written once, against the protocols in `protocol.py`. The façade fulfils them as it is
(`local.py`); `remote.py` is the same face before the REST API.
"""
