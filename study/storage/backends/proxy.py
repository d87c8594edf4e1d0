"""A storage behind Optuna's gRPC proxy waits for the proxy where it is away."""

from __future__ import annotations

import json
import warnings
from functools import partialmethod
from typing import Any
from urllib.parse import urlsplit

import grpc
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, GrpcStorageProxy
from optuna.storages._grpc.auto_generated.api_pb2_grpc import StorageServiceStub
from optuna.storages._grpc.client import GrpcClientCache

from objectives.errors import BadInput
from study.text import one_line

PORT = 13000  # Optuna's own default
OPENED_S, PATIENCE_S = 10.0, 120.0
POLICY = {
    "name": [{}],  # of every method
    "waitForReady": True,
    "timeout": f"{PATIENCE_S:.0f}s",
    "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.2s",
        "maxBackoff": "5s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    },
}


class ProxyStorage(GrpcStorageProxy):
    """Each method goes on where the proxy is back within two minutes, and fails in one line.

    There are no transactions here: one driver writes, and what it had not ended when it was killed
    the next run frees.
    """

    def _setup(self) -> None:
        self._channel = grpc.insecure_channel(
            f"{self._host}:{self._port}",
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.service_config", json.dumps({"methodConfig": [POLICY]})),
            ],
        )
        self._stub = StorageServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._cache = GrpcClientCache(self._stub)

    def in_one_line(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the storage.

        Raises:
            StorageInternalError: The proxy or its database failed; its cause has one line.
        """
        try:
            return getattr(super(), name)(*args, **kwargs)
        except grpc.RpcError as error:
            where, reason = f"grpc://{self._host}:{self._port}", _reason(error)
            raise StorageInternalError(f"the storage {where} failed: {reason}") from None


for _name in BaseStorage.__abstractmethods__:
    setattr(ProxyStorage, _name, partialmethod(ProxyStorage.in_one_line, _name))


def open_proxy(url: str) -> ProxyStorage:
    """Return the storage of a proxy that runs, by an address such as `grpc://127.0.0.1:13000`.

    Raises:
        BadInput: No proxy answers there.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, PORT if parts.port is None else parts.port
    except ValueError:
        host, port = None, PORT
    if not (host and port) or parts.path.strip("/") or parts.username or parts.password:
        raise BadInput("a gRPC proxy is named by host and port: --storage grpc://127.0.0.1:13000")
    try:
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            storage = ProxyStorage(host=host, port=port)
        storage.wait_server_ready(OPENED_S)
    except ConnectionError as error:
        raise BadInput(
            f"no gRPC proxy answers at {host}:{port}; start optuna.storages.run_grpc_proxy_server "
            "there, or name its database"
        ) from error
    return storage


def _reason(error: grpc.RpcError) -> str:
    """Return what a call failed of, in one line."""
    return one_line(str(error.details() if isinstance(error, grpc.Call) else error))[:200]
