"""The driver's side of the bundle server: what a build handed in."""

import http.client
import urllib.error
import urllib.request

from k8s.bundles import tokens
from k8s.bundles.results import Result, decode
from k8s.bundles.tokens import Bearer, Kind
from k8s.errors import Temporary

_TIMEOUT_S = 10.0


class ResultsClient:
    def __init__(self, url: str, key: bytes) -> None:
        self._url, self._token = url, tokens.issue(key, Bearer(Kind.DRIVER))

    def find(self, cloud_id: str, job_id: str) -> Result | None:
        """Raises Temporary when the bundle server cannot be asked."""
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(f"{self._url}/results/{cloud_id}/{job_id}", headers=headers)  # noqa: S310 - ours
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=_TIMEOUT_S
            ) as answer:
                return decode(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise Temporary(f"the bundle server answered with status {error.code}") from error
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise Temporary("the bundle server cannot be reached") from error
