"""The site: settings, gate, command line client, and what runs everything on one machine. Nothing imports it."""
