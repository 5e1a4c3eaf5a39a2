"""One small real app of each engine family, with as few dependencies as its framework allows: the table of apps that are
published on one machine and in a cluster."""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.journey.stack import SOURCE

Files = dict[str, str]
VITE = "^5"
START = SOURCE / "docs" / "developers" / "start.md"


@dataclass(frozen=True)
class App:
    """answers: (path below its address, what is then read there, or in a script that the page loads; {url}: its address)."""

    files: Files
    answers: tuple[tuple[str, str], ...]

    def check(self, web: httpx.Client, url: str) -> None:
        """`web` is signed in as the owner of the copy at `url`."""
        for path, words in self.answers:
            words = words.replace("{url}", url)
            assert words in _whole(web, url + path), f"{words!r} at /{path}"


def _whole(web: httpx.Client, url: str) -> str:
    """The page with the scripts that it loads: what a framework renders in the browser is in one of them."""
    page = web.get(url)
    assert page.status_code == 200, f"{page.status_code} {page.text[:500]}"
    scripts = [urljoin(url, found) for found in re.findall(r'src="([^"]+\.js)"', page.text)]
    return page.text + "".join(web.get(script).text for script in scripts)


def _package(scripts: dict[str, str], dependencies: dict[str, str], development: dict[str, str]) -> str:
    package: dict[str, Any] = {"name": "app", "private": True, "type": "module", "scripts": scripts}
    return json.dumps({**package, "dependencies": dependencies, "devDependencies": development})


def _one(engine: str, **more: str) -> str:
    lines = [f"    {key}: {value}\n" for key, value in more.items()]
    return f"v: 1\nmicros:\n  - name: main\n    src: .\n    engine: {engine}\n" + "".join(lines)


def _page(script: str) -> str:
    return f'<!doctype html><title>app</title><div id="app"></div><script type="module" src="{script}"></script>\n'


REACT: Files = {
    "Spacefile": _one("react"),
    "package.json": _package({"build": "vite build"}, {"react": "^18", "react-dom": "^18"}, {"vite": VITE}),
    "vite.config.js": "export default { esbuild: { jsx: 'automatic' } }\n",
    "index.html": _page("/main.jsx"),
    "main.jsx": "import { createRoot } from 'react-dom/client'\n"
    "createRoot(document.getElementById('app')).render(<p>hello from react</p>)\n",
}
SVELTE: Files = {
    "Spacefile": _one("svelte"),
    "package.json": _package(
        {"build": "vite build"}, {}, {"vite": VITE, "svelte": "^4", "@sveltejs/vite-plugin-svelte": "^3"}
    ),
    "vite.config.js": "import { svelte } from '@sveltejs/vite-plugin-svelte'\nexport default { plugins: [svelte()] }\n",
    "index.html": _page("/main.js"),
    "App.svelte": "<p>hello from svelte</p>\n",
    "main.js": "import App from './App.svelte'\nnew App({ target: document.getElementById('app') })\n",
}
VUE: Files = {
    "Spacefile": _one("vue"),
    "package.json": _package({"build": "vite build"}, {"vue": "^3"}, {"vite": VITE, "@vitejs/plugin-vue": "^5"}),
    "vite.config.js": "import vue from '@vitejs/plugin-vue'\nexport default { plugins: [vue()] }\n",
    "index.html": _page("/main.js"),
    "App.vue": "<template><p>hello from vue</p></template>\n",
    "main.js": "import { createApp } from 'vue'\nimport App from './App.vue'\ncreateApp(App).mount('#app')\n",
}
SVELTE_KIT: Files = {
    "Spacefile": _one("svelte-kit"),
    "package.json": _package(
        {"build": "vite build"},
        {},
        {
            "@sveltejs/kit": "^2",
            "@sveltejs/adapter-node": "^5",
            "@sveltejs/vite-plugin-svelte": "^3",
            "svelte": "^4",
            "vite": VITE,
        },
    ),
    "svelte.config.js": "import adapter from '@sveltejs/adapter-node'\nexport default { kit: { adapter: adapter() } }\n",
    "vite.config.js": "import { sveltekit } from '@sveltejs/kit/vite'\nexport default { plugins: [sveltekit()] }\n",
    "src/app.html": "<!doctype html><html><head>%sveltekit.head%</head><body>%sveltekit.body%</body></html>\n",
    "src/routes/+page.svelte": "<p>hello from svelte-kit</p>\n",
    # What it compares the origin of forms with.
    "src/routes/origin/+server.js": "export const GET = ({ url }) => new Response(`${url.origin}/`)\n",
}
NEXT: Files = {
    "Spacefile": _one("next"),
    "package.json": _package({"build": "next build"}, {"next": "^16", "react": "^19", "react-dom": "^19"}, {}),
    "next.config.mjs": "export default { output: 'standalone' }\n",
    "app/layout.jsx": "export default ({ children }) => <html><body>{children}</body></html>\n",
    "app/page.jsx": "export const dynamic = 'force-dynamic'\n"
    "export default () => <p>{['hello', 'from', 'next'].join(' ')}</p>\n",
    "app/words/route.js": "export const GET = request => new Response(new URL(request.url).search)\n",
    "public/plain.txt": "a file of next\n",
}
NUXT: Files = {
    "Spacefile": _one("nuxt"),
    "package.json": _package({"build": "nuxt build"}, {"nuxt": "^4"}, {}),
    "nuxt.config.js": "export default defineNuxtConfig({ telemetry: false, compatibilityDate: '2026-01-01' })\n",
    "app/app.vue": "<template><p>{{ ['hello', 'from', 'nuxt'].join(' ') }}</p></template>\n",
    "server/routes/words.js": "export default defineEventHandler(event => getRequestURL(event).search)\n",
    "public/plain.txt": "a file of nuxt\n",
}
HTML: Files = {
    "Spacefile": "v: 0\nmicros:\n  - {name: page, src: ., engine: static, serve: pages}\n",
    "pages/index.html": "<!doctype html><title>page</title><h1>hello from html</h1>\n",
    "pages/below/index.html": "<!doctype html><p>below html</p>\n",
}
EXPRESS: Files = {
    "Spacefile": _one("nodejs16").replace("v: 1", "v: 0"),
    "package.json": json.dumps({"name": "app", "private": True, "dependencies": {"express": "^4"}}),
    "index.js": "const app = require('express')()\n"
    "app.get('/', (request, answer) => answer.send('hello from express'))\napp.listen(process.env.PORT)\n",
}
FASTAPI: Files = {
    "Spacefile": _one("python3.11"),
    "requirements.txt": "fastapi\n",
    "main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get('/')\ndef hello():\n"
    "    return 'hello from fastapi'\n",
}
FLASK: Files = {
    "Spacefile": _one("python3.9").replace("v: 1", "v: 0"),
    "requirements.txt": "flask\n",
    "main.py": "from flask import Flask\napp = Flask(__name__)\n\n@app.get('/')\ndef hello():\n"
    "    return 'hello from flask'\n",
}
CUSTOM: Files = {
    "Spacefile": _one(
        "custom",
        commands="[\"GREETING='hello from custom' sh make.sh\"]",
        include="[server.py, out/words]",
        run="python3 server.py",
    ),
    "make.sh": 'mkdir out && printf "%s" "$GREETING" | tee out/words\n',
    "server.py": "import http.server, os, pathlib\n\nclass Handler(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200)\n        self.end_headers()\n"
    "        self.wfile.write(pathlib.Path('words').read_bytes())\n\n"
    "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()\n",
}
TWO_NODES: Files = {
    "Spacefile": "v: 0\nmicros:\n"
    "  - {name: web, src: web, engine: nodejs16, primary: true}\n"
    "  - {name: api, src: api, path: data, engine: nodejs16}\n",
    "web/index.js": "require('http').createServer((q, a) => a.end('hello from web ' + q.url)).listen(process.env.PORT)\n",
    "api/index.js": "require('http').createServer((q, a) => a.end('api saw ' + q.url)).listen(process.env.PORT)\n",
}


def of_the_documents(section: str) -> Files:
    """The files that a section of the five-minute start has people write, named by their first lines; JSON has no room for
    a name and is package.json."""
    text = START.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    files = {}
    for kind, block in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL):
        named = re.match(r"(?:#|//|<!--) (\S+)", block)
        if kind == "json":
            files["package.json"] = block
        elif named and kind != "sh":
            files[named[1]] = block.split("\n", 1)[1]
    return files


def _greeting(family: str) -> tuple[str, str]:
    return "", f"hello from {family}"


FAMILIES = {
    "html": App(HTML, (_greeting("html"), ("below/", "below html"))),
    "react": App(REACT, (_greeting("react"),)),
    "svelte": App(SVELTE, (_greeting("svelte"),)),
    "vue": App(VUE, (_greeting("vue"),)),
    "svelte-kit": App(SVELTE_KIT, (_greeting("svelte-kit"), ("origin", "{url}"))),
    "express": App(EXPRESS, (_greeting("express"),)),
    "fastapi": App(FASTAPI, (_greeting("fastapi"),)),
    "flask": App(FLASK, (_greeting("flask"),)),
    "custom": App(CUSTOM, (_greeting("custom"),)),
    "two-processes": App(
        TWO_NODES,
        (("x/y", "hello from web /x/y"), ("data/x?n=1", "api saw /x?n=1"), ("database", "hello from web /database")),
    ),
    "pages-and-api": App(
        of_the_documents("Two micros"), (("api/word", '{"word":"hello"}'), ("", "fetch('/api/word')"))
    ),
}
# A real build of these takes a minute and 300 MB of packages, and their present versions want Node 20 of their builder.
HEAVY = {
    family: App(files, (_greeting(family), ("words?n=1", "?n=1"), ("plain.txt", f"a file of {family}")))
    for family, files in (("next", NEXT), ("nuxt", NUXT))
}
