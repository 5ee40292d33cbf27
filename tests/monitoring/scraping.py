"""A scrape as Prometheus does it, and the numbers in it."""

import contextlib
import http.client
from collections.abc import Iterable
from urllib.parse import urlsplit

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families


def scrape(url: str) -> list[Metric]:
    """Ask once over HTTP, and parse the answer."""
    asked = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(asked.netloc, timeout=10)) as connection:
        connection.request("GET", asked.path)
        answer = connection.getresponse()
        assert answer.status == http.client.OK
        return list(text_string_to_metric_families(answer.read().decode()))


def number(families: Iterable[Metric], name: str, **labels: str) -> float:
    """Return the sum of the samples of one name that have these labels; fail where there is none."""
    found = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert found, f"no sample {name} with {labels}"
    return sum(found)


def names(families: Iterable[Metric]) -> set[str]:
    """Return the name of every sample, as a query would have it."""
    return {sample.name for family in families for sample in family.samples}
