"""A Lightning module that records what it is shown."""

import os

import pytorch_lightning
import torch


class Recorder(pytorch_lightning.LightningModule):
    """One weight, trained on the means of batches; `seen` has the batches."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []
        self.stop_after = stop_after

    def training_step(self, batch, index):
        values = batch if isinstance(batch, torch.Tensor) else batch[0]
        self.seen.append(values.tolist() if values.dim() == 1 else values.clone())
        if len(self.seen) == self.stop_after:
            raise KeyboardInterrupt
        return (self.weight - values.double().mean()) ** 2

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def trainer(folder, **options):
    return pytorch_lightning.Trainer(
        **{"devices": 1} | options,
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def distributed_trainer(folder, **options):
    """The trainer of one rank of the group that `run_ranks` made, as `torchrun` would start it."""
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    for name, value in {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size}.items():
        os.environ[name] = str(value)
    os.environ |= {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    return trainer(folder, strategy="ddp", **{"devices": world_size} | options)
