"""What a cluster driver may raise. Everything else is a defect of the driver."""


class ClusterError(Exception):
    """Something about the cluster; `str()` is a sentence that a person can read."""


class Temporary(ClusterError):
    """May succeed later: unreachable, overloaded, conflicting.

    retry_after_s: seconds to wait before the next try, or None to let the caller choose.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Permanent(ClusterError):
    """Will not succeed until somebody changes something: refused, invalid, over quota."""


class NotFound(ClusterError):
    """The named cloud, instance, micro or job is not known to the cluster."""
