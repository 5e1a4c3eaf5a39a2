"""What runs inside a build's sandbox. Standard library only: the sandbox has the system's Python and nothing of ours.

The folder is mounted as it is and `build.py` started as a script, so imports in here are relative.
"""
