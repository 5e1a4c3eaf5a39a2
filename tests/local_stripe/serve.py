"""`python -m tests.local_stripe.serve PORT`: on 127.0.0.1, in memory. Its own start listens everywhere and keeps a file."""

import sys

from aiohttp import web
from localstripe.resources import Store
from localstripe.server import app

if __name__ == "__main__":
    Store.dump_to_disk = lambda self: None
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
