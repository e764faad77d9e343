"""Ports of a system stay in its block, and a taken one is noticed."""

import socket

import pytest

from services.runtime.ports import BLOCK, LOOPBACK, MAX_WORKERS, PRODUCER_KINDS, Ports, is_free


def _all(ports: Ports) -> list[int]:
    return [
        ports.kafka,
        ports.controller,
        ports.view,
        ports.prometheus,
        ports.alertmanager,
        ports.grafana,
        *(ports.worker(i) for i in range(MAX_WORKERS)),
        *(ports.producer(kind) for kind in PRODUCER_KINDS),
    ]


@pytest.mark.parametrize("ports", [Ports(), Ports.from_base(21000)])
def test_no_two_parts_share_a_port(ports: Ports) -> None:
    numbers = _all(ports)
    assert len(set(numbers)) == len(numbers)


def test_a_base_puts_every_port_into_its_block() -> None:
    assert all(21000 <= port < 21000 + BLOCK for port in _all(Ports.from_base(21000)))


@pytest.mark.parametrize("base", [0, 80, 65_500, 70_000])
def test_a_base_whose_block_does_not_fit_is_refused(base: int) -> None:
    with pytest.raises(ValueError, match="port-base"):
        Ports.from_base(base)


def test_more_workers_than_ports_are_refused() -> None:
    with pytest.raises(ValueError, match="16 workers"):
        Ports().worker(16)


def test_a_port_on_which_somebody_listens_is_not_free() -> None:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)
