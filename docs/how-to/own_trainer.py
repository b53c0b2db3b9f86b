"""Pulls class-balanced batches from Equibatch servers: the whole of a trainer but for the training.

    python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. proto/equibatch/v1/equibatch.proto
    python docs/how-to/own_trainer.py localhost:50051
"""

import os
import sys
import threading
import time

sys.path.insert(0, os.getcwd())  # where protoc has written the modules

import grpc
import numpy as np
from equibatch.v1 import equibatch_pb2 as pb
from equibatch.v1 import equibatch_pb2_grpc as rpc

OPTIONS = [
    ("grpc.max_receive_message_length", -1),  # 4 MB by default, less than one batch
    ("grpc.keepalive_time_ms", 30_000),  # a connection that is cut without a word is noticed within
    ("grpc.keepalive_timeout_ms", 15_000),  # the sum of both
]
# What another try, or another server, may cure. CANCELLED is a batch that did not come in time.
TRANSIENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
DTYPES = {pb.ELEMENT_TYPE_F32: np.float32, pb.ELEMENT_TYPE_F16: np.float16, pb.ELEMENT_TYPE_U8: np.uint8}


class Stream:
    """An open stream of batches. Use it in a `with`: the call must be closed, or the process does not end.

    `stall` is the longest time that a batch may take, in seconds; then the next one raises an RpcError, CANCELLED. `root` is the PEM file
    of the server's authority, for TLS, and `token` a token to show. All other arguments are fields of StreamBatchesRequest.
    """

    def __init__(self, address, *, stall=60.0, root=None, token=None, **request):
        self.stall = stall
        if root is None:
            # Of a socket's path, gRPC makes a host name that is none, and the call is reset.
            local = [("grpc.default_authority", "localhost")] if address.startswith("unix:") else []
            self.channel = grpc.insecure_channel(address, OPTIONS + local)
        else:
            with open(root, "rb") as pem:
                self.channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(pem.read()), OPTIONS)
        metadata = [("authorization", f"Bearer {token}")] if token else []
        stub = rpc.BatchLoaderStub(self.channel)
        self.call = stub.StreamBatches(pb.StreamBatchesRequest(**request), metadata=metadata)
        try:
            self.description = self.receive().description
        except BaseException:
            self.close()
            raise

    def receive(self):
        """The next message, or a cancelled call where it takes too long."""
        watchdog = threading.Timer(self.stall, self.call.cancel)
        watchdog.daemon = True
        watchdog.start()
        try:
            return next(self.call)
        finally:
            watchdog.cancel()

    def __iter__(self):
        return self

    def __next__(self):
        """The next batch, as (images, batch): the tensor without a copy, and the message with labels and position."""
        batch = self.receive().batch
        images = np.frombuffer(batch.tensor, DTYPES[self.description.element_type])
        return images.reshape(len(batch.labels), *self.description.shape[1:]), batch

    def close(self):
        self.call.cancel()
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def batches(addresses, *, tries=10, pause=1.0, start=None, **request):
    """All batches of a request as (images, batch), from whichever server is there: where one fails, the next one goes on behind the last batch."""
    turn, failures = 0, 0  # failures in a row
    while True:
        try:
            with Stream(addresses[turn % len(addresses)], start=start, **request) as stream:
                for images, batch in stream:
                    failures, start = 0, batch.next
                    yield images, batch
                return
        except grpc.RpcError as error:
            turn, failures = turn + 1, failures + 1
            if error.code() not in TRANSIENT or failures >= tries:
                raise
        time.sleep(pause)


def main(address):
    with Stream(address, split="train", batch_size=64, image_size=224, epochs=2) as stream:
        description = stream.description
        print(f"{description.dataset}: {', '.join(description.classes)}; {description.steps_per_epoch} steps per epoch")
        for images, batch in stream:
            counts = np.bincount(batch.labels, minlength=len(description.classes))
            place = f"epoch {batch.epoch} step {batch.step}"
            print(f"{place}: {images.shape}, mean {images.mean():+.3f}, of each class {counts}")
    # `batch.next.SerializeToString()` is what to save; `start=` that token is how to go on.


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "localhost:50051")
