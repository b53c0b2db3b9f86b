"""Pulls class-balanced batches from an Equibatch server: the whole of a trainer but for the training.

    python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. proto/equibatch/v1/equibatch.proto
    python docs/how-to/own_trainer.py localhost:50051
"""

import os
import sys

sys.path.insert(0, os.getcwd())  # where protoc has written the modules

import grpc
import numpy as np
from equibatch.v1 import equibatch_pb2 as pb
from equibatch.v1 import equibatch_pb2_grpc as rpc


def batches(address, start=None, **request):
    """Yields the description of a stream, and then its batches as (images, labels, token to go on from)."""
    options = [("grpc.max_receive_message_length", -1)]  # 4 MB by default, less than one batch
    with grpc.insecure_channel(address, options=options) as channel:
        stream = rpc.BatchLoaderStub(channel).StreamBatches(pb.StreamBatchesRequest(start=start, **request))
        description = next(stream).description
        yield description
        for message in stream:
            batch = message.batch
            images = np.frombuffer(batch.tensor, np.float32).reshape(len(batch.labels), *description.shape[1:])
            yield images, np.array(batch.labels), batch.next


def main(address):
    stream = batches(address, split="train", batch_size=64, image_size=224, epochs=2)
    description = next(stream)
    print(f"{description.dataset}: {', '.join(description.classes)}; {description.steps_per_epoch} steps per epoch")
    for images, labels, token in stream:
        counts = np.bincount(labels, minlength=len(description.classes))
        print(f"epoch {token.epoch} step {token.step}: {images.shape}, mean {images.mean():+.3f}, of each class {counts}")
    # `token.SerializeToString()` is what to save; `start=token` is how to go on.


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "localhost:50051")
