"""The gate's own pages: small, self-contained, and each says what to do. Used by the proxy and the decision endpoint."""

from html import escape

# Nothing of these pages loads, runs or frames anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

# The console's look (provider/static/console.css), in as much as these pages need of it.
_STYLE = """
:root { color-scheme: light dark; --paper: #faf9f6; --surface: #fff; --sunken: #f2f0eb; --line: #e4e0d8;
  --line-strong: #8b867b; --ink: #1d1f1c; --ink-soft: #5b5f58; --accent: #0b6a4c; --on-accent: #fff;
  --shadow: 0 6px 20px -8px rgb(30 30 20 / .12) }
@media (prefers-color-scheme: dark) { :root { --paper: #131512; --surface: #1b1e1a; --sunken: #232722; --line: #30352e;
  --line-strong: #7d8378; --ink: #ecede8; --ink-soft: #a9aea4; --accent: #6fd3aa; --on-accent: #06251a; --shadow: none } }
*, ::before, ::after { box-sizing: border-box }
html { -webkit-text-size-adjust: 100% }
body { margin: 0; min-height: 100vh; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 400 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Ubuntu, Cantarell, sans-serif }
header { background: var(--surface); border-bottom: 1px solid var(--line) }
header div { max-width: 68rem; min-height: 3.75rem; margin: 0 auto; padding: .55rem 1.25rem; display: flex;
  align-items: center; gap: .6rem; font-weight: 700; font-size: 1.1rem; letter-spacing: -.02em }
header svg { width: 1.9rem; height: 1.9rem; flex: none }
.ground { fill: var(--accent) } .house { fill: var(--on-accent) }
main { max-width: 32rem; margin: 0 auto; padding: clamp(1.5rem, 7vh, 5rem) 1.25rem 4rem }
.card { background: var(--surface); border: 1px solid var(--line); border-radius: 14px; padding: 1.6rem;
  box-shadow: var(--shadow) }
h1 { margin: 0 0 .6em; font-size: clamp(1.4rem, 1.25rem + .8vw, 1.75rem); line-height: 1.2; letter-spacing: -.018em;
  font-weight: 650; text-wrap: balance }
p { margin: 0 0 1rem; color: var(--ink-soft) }
p:last-child { margin-bottom: 0 }
.button { display: inline-flex; align-items: center; min-height: 2.75rem; padding: .5rem 1.05rem; font-weight: 600;
  font-size: .95rem; line-height: 1.2; color: var(--ink); background: var(--surface); border: 1px solid var(--line-strong);
  border-radius: 9px; text-decoration: none }
.button:hover { background: var(--sunken) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 6px }
"""
_LOGO = (
    '<svg viewBox="0 0 32 32" aria-hidden="true"><rect class="ground" width="32" height="32" rx="8.5"/>'
    '<path class="house" fill-rule="evenodd" d="M16 5.6 26.4 14v10.6a1.8 1.8 0 0 1-1.8 1.8H7.4a1.8 1.8 0 0 1-1.8-1.8V14z'
    'm0 8.6a3.1 3.1 0 0 0-1.7 5.7l-1 4h5.4l-1-4a3.1 3.1 0 0 0-1.7-5.7z"/></svg>'
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">{refresh}
<title>{title} · Freehold</title>
<style>{style}</style></head>
<body><header><div>{logo}Freehold</div></header>
<main><div class="card"><h1>{title}</h1>
{text}
</div></main></body></html>
"""


def page(title: str, *sentences: str, link: tuple[str, str] | None = None, again_s: int = 0) -> str:
    """A page of plain sentences. link: (address, text). again_s > 0: the browser asks again after so many seconds."""
    text = [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    if again_s:
        text[-1] = text[-1].replace("<p>", '<p role="status">', 1)
    if link:
        text.append(f'<p><a class="button" href="{escape(link[0])}">{escape(link[1])}</a></p>')
    refresh = f'\n<meta http-equiv="refresh" content="{again_s}">' if again_s else ""
    return _PAGE.format(title=escape(title), text="\n".join(text), refresh=refresh, style=_STYLE, logo=_LOGO)


COOKIELESS = page(
    "Your browser keeps no cookies for this app",
    "Signing in needs one cookie of this address. It was sent a moment ago, and your browser did not bring it back.",
    "Allow cookies for this address: in the browser's settings, or in the extension that blocks them. Cookies of other "
    "sites are not needed. Then open the app again.",
    link=("/", "Open the app again"),
)
FORGETFUL = page(
    "Your browser forgets that you are signed in",
    "You were signed in here several times within a minute, and each time the next request came without it.",
    "Allow cookies for this address: in the browser's settings, or in the extension that removes them. If its clock is "
    "wrong by days, set it right. Then open the app again.",
    link=("/", "Open the app again"),
)

FIXED = {
    "unknown": page(
        "There is nothing at this address",
        "The address may be misspelt, or the app that was here has been removed.",
        "If it is one of your apps, open it from your Freehold console.",
    ),
    "starting": page("Freehold is starting", "It will be here in a moment. This page asks again by itself.", again_s=2),
    "silent": page(
        "No answer from here right now",
        "What should answer at this address does not. If it has just been started or changed, wait a moment and reload.",
        "If it stays like this, open the app's page in your Freehold console: it shows the logs and can restart it.",
    ),
    "slow": page(
        "The answer took too long",
        "The app was reached but did not answer in time. Reload to try again, or look at its logs in your console.",
    ),
    "undecided": page(
        "Freehold cannot check who you are right now",
        "Until it can, nobody gets in. This page asks again by itself.",
        again_s=3,
    ),
    "away": page(
        "Back in a moment",
        "A part of Freehold is restarting. Apps that run keep running. This page asks again by itself.",
        again_s=5,
    ),
    "many": page(
        "Too many requests",
        "More came from here, or for this app, than it may take at once. Wait ten seconds, then reload.",
        "If this is your app and it stays like this: close pages of it that you do not need, look at its logs for what "
        "asks so often, or choose a larger plan in your console.",
    ),
    "large": page(
        "That is too large",
        "What was sent is more than Freehold takes in one piece. Send less at a time, or a smaller file.",
    ),
    "odd": page(
        "This address cannot be read",
        "The request is not spelt as browsers spell them. If you typed the address, look for a stray % or a missing letter.",
    ),
    "method": page("This is not how to ask for it", "The request's method is not one that is served here."),
}
