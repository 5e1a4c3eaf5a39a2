"""What stops a start, as one sentence that says what to do."""


class Complaint(Exception):
    """Shown to the person without a traceback; `manage.py up` then exits with 1."""
