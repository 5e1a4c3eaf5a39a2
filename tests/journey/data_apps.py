"""Apps that keep data as those of the former platform did: with what is in their environment, and no line of set-up."""

# Runs what it is sent with a shell of its own: what is tried is what an app's code, in any language, would do.
SHELL = {
    "Spacefile": "v: 0\nmicros:\n  - {name: shell, src: ., engine: python3.9, primary: true, run: python main.py}\n",
    "main.py": """
import http.server, os, subprocess

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, timeout=60)
        body = done.stdout + done.stderr
        self.send_response(200 if done.returncode == 0 else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        body = b"<!doctype html><title>Shell</title><h1>Shell</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # of five, the usual, a hundred visitors at once leave some waiting for a minute

Server(("", int(os.environ["PORT"])), Handler).serve_forever()
""",
}

# npm `deta`, unchanged, as an app of the former platform would use it.
NODE = {
    "Spacefile": "v: 0\nmicros:\n  - {name: words, src: ., engine: nodejs16, primary: true}\n",
    "package.json": (
        '{"name": "words", "private": true, "main": "index.js", "dependencies": {"deta": "2.0.0"},'
        ' "scripts": {"start": "node index.js"}}\n'
    ),
    "index.js": """
const { Deta } = require('deta')
const deta = Deta()
const base = deta.Base('words'), drive = deta.Drive('files')

require('http').createServer(async (request, answer) => {
  try {
    await base.put({ value: 'ahoj', n: 1 }, 'greeting')
    await base.update({ n: base.util.increment(2) }, 'greeting')
    const found = await base.fetch({ 'n?gte': 3 })
    await drive.put('a/b c.txt', { data: 'z'.repeat(1000), contentType: 'text/plain' })
    const file = await drive.get('a/b c.txt')
    answer.end(JSON.stringify({ item: await base.get('greeting'), found: found.items, file: await file.text(),
      names: (await drive.list()).names }))
  } catch (error) { answer.statusCode = 500; answer.end(String(error.stack)) }
}).listen(process.env.PORT)
""",
}
