"""Ports: a process that was killed leaves its port free, and the next one listens there at once."""

from tests.abuse.served import honest, service


async def test_a_kernel_that_was_killed_frees_its_port_and_its_clients_come_back(
    tmp_path, interpreters
):
    with service(interpreters, tmp_path) as where:
        async with honest(where) as client:
            address = where.address
            where.kill()
            where.start()  # the lab remembers where it listened
            assert where.address == address
            await client.sign_in()
            await client.enter()
            assert await client.ping_s() < 5
