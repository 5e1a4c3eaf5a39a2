"""Small apps that the tests publish; none of them is part of this repository's catalog."""

RECORDER = {
    "Spacefile": (
        "v: 0\nmicros:\n  - name: recorder\n    src: .\n    engine: python3.9\n    primary: true\n"
        '    public_routes:\n      - "/public/*"\n'
    ),
    # Pure ASGI, so that nothing has to be fetched to build it. It remembers whatever reaches it.
    "main.py": """
import json

seen = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    if scope["type"] == "http" and scope["path"] == "/seen":
        await answer(send, json.dumps(seen).encode())
        return
    line = scope["path"] + "?" + scope["query_string"].decode("latin-1")
    seen.append({"kind": scope["type"], "method": scope.get("method"), "line": line, "headers": headers})
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        return
    await answer(send, b"private words of the owner")


async def answer(send, body):
    head = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
""",
}

NEVER_LISTENS = {
    "Spacefile": "v: 0\nmicros:\n  - {name: deaf, src: ., engine: python3.9, run: python3 main.py}\n",
    "main.py": 'import time\nprint("I shall never listen", flush=True)\ntime.sleep(3600)\n',
}

# Says that it runs, and names every path it is asked for.
CHATTY = {
    "Spacefile": "v: 0\nmicros:\n  - {name: chatty, src: ., engine: python3.9, run: python main.py}\n",
    "main.py": """
import http.server, os
print("here I am", flush=True)
http.server.HTTPServer(("", int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()
""",
}

CRASHES = {
    "Spacefile": "v: 0\nmicros:\n  - {name: crash, src: ., engine: python3.9, run: python3 main.py}\n",
    "main.py": 'import sys\nprint("out of luck", flush=True)\nsys.exit(7)\n',
}

# Starts only from the second time on: what Retry is for.
WORKS_AT_SECOND_TRY = {
    "Spacefile": (
        "v: 1\nmicros:\n  - name: second\n    src: .\n    engine: python3.11\n    run: python3 main.py\nvolume: /data\n"
    ),
    "main.py": """
import http.server, os, pathlib, sys, time
flag = pathlib.Path("/data/allowed")
if not flag.exists():
    flag.touch()
    print("not yet", flush=True)
    time.sleep(3600)
http.server.HTTPServer(("", int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()
""",
}

FAILING_BUILD = {
    "Spacefile": (
        "v: 0\nmicros:\n  - name: broken\n    src: .\n    engine: nodejs16\n    commands:\n"
        "      - echo before the end\n      - node -e 'process.exit(3)'\n"
    ),
    "index.js": "",
}

STATIC = {
    "Spacefile": "v: 0\nmicros:\n  - {name: page, src: ., engine: static, serve: .}\n",
    "index.html": "<!doctype html><title>Hello</title><h1>Hello from a folder</h1>",
}

FASTAPI = {
    "Spacefile": "v: 0\nmicros:\n  - {name: counter, src: ., engine: python3.9, primary: true}\n",
    "requirements.txt": "fastapi\n",
    "main.py": (
        "from fastapi import FastAPI\n\napp = FastAPI()\ncount = 0\n\n\n@app.get('/')\ndef root():\n"
        "    global count\n    count += 1\n    return {'count': count}\n"
    ),
}
