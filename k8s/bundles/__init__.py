"""How code gets into pods and artifacts out of builds: content by digest, over HTTP, to whoever may have it just now."""
