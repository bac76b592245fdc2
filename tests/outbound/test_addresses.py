"""Which addresses are connected to."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from coordhub.outbound.addresses import is_permitted, is_public


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.251",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "2002:0a00:0001::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2001:db8::1",
        "2001::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "ff02::1",
    ],
)
def test_given_an_address_of_no_public_host_when_judged_then_not_permitted(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not is_permitted(ip_address(text), [], public=True)


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_given_a_public_address_when_judged_then_permitted_where_public_ones_are(text: str) -> None:
    assert is_permitted(ip_address(text), [], public=True)
    assert not is_permitted(ip_address(text), [], public=False)


def test_given_an_allowed_network_when_judged_then_exactly_its_addresses_are_permitted() -> None:
    allowed = [ip_network("10.20.0.0/16")]
    assert is_permitted(ip_address("10.20.3.4"), allowed, public=False)
    assert is_permitted(ip_address("::ffff:10.20.3.4"), allowed, public=False)
    assert not is_permitted(ip_address("10.21.3.4"), allowed, public=True)
