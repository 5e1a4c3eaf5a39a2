"""The server of static micros: files out of unpacked artifacts, chosen by the gate through one header."""
