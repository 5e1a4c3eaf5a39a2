"""`python -m provider.live --host HOST --port PORT`: the live process, which serves streams and answers the gate.

uvicorn on one thread: with a second one, as granian has it, an answer to the gate takes twice the processor's time.
"""

import argparse

import uvicorn

KEEP_ALIVE_S = 75  # the proxy keeps connections for the next question
STOPPING_S = 3  # streams go on at another process, or after a restart


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m provider.live")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    where = parser.parse_args()
    from provider.asgi import application  # before what imports models
    from provider.gate.answering import AnsweringProtocol

    uvicorn.run(
        application,
        host=where.host,
        port=where.port,
        http=AnsweringProtocol,
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,  # Django's is there
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # what the proxy says is for Django to read
        server_header=False,
        backlog=1024,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOPPING_S,
    )


if __name__ == "__main__":
    main()
