"""One small real app of each engine family, with as few dependencies as its framework allows."""

import json
from typing import Any

Files = dict[str, str]
VITE = "^5"


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
