"""One recording for each version of MQTT, of which every rule is asked."""

from __future__ import annotations

import pytest

from tests.gateway.uplinks.sparkplug.recording import Recording, record


@pytest.fixture(scope="session", params=[5, "3.1.1"], ids=["mqtt-5", "mqtt-3.1.1"])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record(tmp_path_factory.mktemp("sparkplug"), request.param)
