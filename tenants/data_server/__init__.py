"""Base (documents) and Drive (files) of one cloud: an ASGI program on one folder, which imports nothing of ours.

It speaks the wire contract of the public Deta clients. What is where: `documents`, `updates`, `queries` say what a request
means; `bases`, `drives` do it to a `Collection`; `base_api`, `drive_api`, `admin_api` are the HTTP around them.

Durability: SQLite in WAL mode with synchronous=FULL, so a commit is on the disk before it is answered; a file's bytes and
its folder are fsynced before its row is committed. What was acknowledged survives kill -9 and loss of power.
"""
