"""One Redis, real: who it must be before it is trusted, what its refusals are called, and that service resumes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sidecar.errors import StoreError, StoreSilent, StoreUnfit
from sidecar.redis import Place, Redis, Script
from tests.redisserver import RedisServer

SLOW_S = 20
SET = Script("return redis.call('SET', KEYS[1], ARGV[1])")
PASSWORD = "correct-horse-battery"


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    opened = Redis(Place(redis_server.url, timeout_s=SLOW_S))
    yield opened
    await opened.close()


async def refusal(redis: Redis) -> StoreError:
    """What it says, which it says each time: no connection that was refused is used later."""
    said = []
    for _ in range(3):
        with pytest.raises(StoreError) as caught:
            await redis.run(SET, ["k"], ["v"])
        said.append((type(caught.value), str(caught.value)))
    await redis.close()
    assert said == [said[0]] * 3
    return caught.value


async def test_run_answers_and_probe_finds_it_trustworthy(redis: Redis) -> None:
    assert await redis.run(SET, ["k"], ["v"]) == b"OK"
    await redis.probe()
    assert redis.keeps_file


async def test_run_after_redis_was_killed_goes_on_and_knows_what_it_knew(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    redis = Redis(Place(server.url, timeout_s=SLOW_S))
    try:
        await redis.run(SET, ["k"], ["v"])
        server.kill()
        with pytest.raises(StoreError, match="reached"):
            await redis.probe()
        server.start()
        assert await redis.run(SET, ["l"], ["v"]) == b"OK"
        assert "v" in server.say("GET", "k")
    finally:
        await redis.close()
        server.kill()


async def test_run_nobody_there_has_surely_not_run(tmp_path: Path) -> None:
    error = await refusal(Redis(Place(f"unix://{tmp_path}/none.sock")))
    assert str(error) == "Redis cannot be reached."
    assert not isinstance(error, StoreSilent)


async def test_run_hung_may_have_run_and_goes_on_later(redis_server: RedisServer) -> None:
    redis = Redis(Place(redis_server.url, timeout_s=0.2))
    patient = Redis(Place(redis_server.url, timeout_s=SLOW_S))
    await patient.probe()
    redis_server.hang()
    try:
        await asyncio.gather(*(_silent(redis) for _ in range(3)))
    finally:
        redis_server.go_on()
    assert await patient.run(SET, ["k"], ["v"]) == b"OK"
    await redis.close()
    await patient.close()


async def test_run_hung_while_it_is_met_leaves_no_connection_that_was_not_looked_at(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--maxmemory-policy", "allkeys-lru")
    redis = Redis(Place(server.url, timeout_s=0.1))
    try:
        server.hang()
        await asyncio.gather(*(_silent(redis) for _ in range(150)))
        server.go_on()
        patient = Redis(Place(server.url, timeout_s=SLOW_S))
        assert "allkeys-lru" in str(await refusal(patient))
        for _ in range(3):
            with pytest.raises(StoreError):
                await redis.run(SET, ["k"], ["v"])
        assert server.say("EXISTS", "k") == ":0\r\n"
    finally:
        server.kill()
        await redis.close()


async def _silent(redis: Redis) -> None:
    with pytest.raises(StoreError, match=r"in time|reached"):
        await redis.probe()


@pytest.mark.parametrize("given", [None, "wrong-password-given"])
async def test_run_wrong_password_said_without_any_password(given: str | None, tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--requirepass", PASSWORD)
    try:
        place = Place(server.url, password=given)
        error = await refusal(Redis(place))
        assert isinstance(error, StoreUnfit)
        assert "password" in str(error)
        told = f"{error} {error.hint} {error.__cause__} {place}"
        assert PASSWORD not in told
        assert "wrong-password-given" not in told
        redis = Redis(Place(server.url, password=PASSWORD))
        await redis.probe()
        await redis.close()
    finally:
        server.kill()


async def test_run_user_with_few_rights_enough_or_told(redis_server: RedisServer) -> None:
    rights = ("+evalsha", "+script|load", "+get", "+set", "+time", "+ping")
    redis_server.say("ACL", "SETUSER", "few", "on", f">{PASSWORD}", "resetkeys", "~regate:*", *rights)
    place = Place(redis_server.url, "few", PASSWORD)
    assert "INFO" in str(await refusal(Redis(place)))
    redis_server.say("ACL", "SETUSER", "few", "+info")
    redis = Redis(place)
    assert await redis.run(SET, ["regate:k"], ["v"]) == b"OK"
    error = await refusal(redis)
    assert str(error) == "Redis refuses: its ACL does not let this user do that."


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_run_redis_that_drops_keys_not_trusted(policy: str, tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--maxmemory-policy", policy)
    try:
        error = await refusal(Redis(Place(server.url)))
        assert isinstance(error, StoreUnfit)
        assert policy in str(error)
        server.say("CONFIG", "SET", "maxmemory-policy", "noeviction")
        redis = Redis(Place(server.url))
        await redis.probe()
        await redis.close()
    finally:
        server.kill()


async def test_run_cluster_not_trusted(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--cluster-enabled", "yes")
    try:
        error = await refusal(Redis(Place(server.url)))
        assert isinstance(error, StoreUnfit)
        assert "cluster" in str(error)
    finally:
        server.kill()


async def test_run_replica_refused_until_it_is_the_primary(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--replicaof", "127.0.0.1 1")
    redis = Redis(Place(server.url, timeout_s=SLOW_S))
    try:
        with pytest.raises(StoreError, match="read-only replica"):
            await redis.run(SET, ["k"], ["v"])
        server.say("REPLICAOF", "NO", "ONE")
        assert await redis.run(SET, ["k"], ["v"]) == b"OK"
        server.say("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreError, match="read-only replica"):
            await redis.run(SET, ["k"], ["v"])
    finally:
        await redis.close()
        server.kill()


async def test_run_memory_full_refused_then_served(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    redis = Redis(Place(server.url, timeout_s=SLOW_S))
    try:
        server.say("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreError, match="memory is full") as caught:
            await redis.run(SET, ["k"], ["v"])
        assert not isinstance(caught.value, StoreSilent)
        server.say("CONFIG", "SET", "maxmemory", "0")
        assert await redis.run(SET, ["k"], ["v"]) == b"OK"
    finally:
        await redis.close()
        server.kill()


async def test_run_redis_without_a_file_is_known_to_forget(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--appendonly", "no")
    redis = Redis(Place(server.url, timeout_s=SLOW_S))
    try:
        await redis.probe()
        assert not redis.keeps_file
    finally:
        await redis.close()
        server.kill()


async def test_run_over_tls_only_with_whom_the_authority_vouches_for(tmp_path: Path) -> None:
    ca, stranger = _authority(tmp_path / "ca"), _authority(tmp_path / "stranger")
    port = _free_port()
    files = ("--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem")
    server = RedisServer(ca, *files, "--tls-port", str(port), "--tls-auth-clients", "no")
    try:
        good = Redis(Place(f"rediss://localhost:{port}", ca_file=ca / "cert.pem", timeout_s=SLOW_S))
        await good.probe()
        await good.close()
        for url, vouches in ((f"rediss://localhost:{port}", stranger), (f"rediss://127.0.0.1:{port}", ca)):
            error = await refusal(Redis(Place(url, ca_file=vouches / "cert.pem", timeout_s=SLOW_S)))
            assert "reached" in str(error)
        plain = await refusal(Redis(Place(f"redis://localhost:{port}", timeout_s=SLOW_S)))
        assert not isinstance(plain, StoreSilent)
    finally:
        server.kill()


def _authority(folder: Path) -> Path:
    """A folder with a certificate for localhost that is its own authority, and its key."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.now(UTC), timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    (folder / "cert.pem").write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.PEM))
    kept = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(kept)
    return folder


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
