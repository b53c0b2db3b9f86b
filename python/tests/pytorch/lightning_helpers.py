"""A Lightning module that records what it is shown, and trainers."""

import pytorch_lightning
import torch


class Interrupted(Exception):
    """Ends a run in the middle."""


class Recorder(pytorch_lightning.LightningModule):
    """One weight, trained on the means of batches; `seen` has the batches of training, `validated` the number of validation images."""

    def __init__(self, stop_after=None, estimates=False):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.seen, self.validated = [], 0
        self.stop_after, self.estimates = stop_after, estimates

    def training_step(self, batch, index):
        values = batch if isinstance(batch, torch.Tensor) else batch[0]
        self.seen.append(values.tolist() if values.dim() == 1 else values.clone())
        if len(self.seen) == self.stop_after:
            raise Interrupted
        return (self.weight - values.double().mean()) ** 2

    def validation_step(self, batch, index):
        if not self.trainer.sanity_checking:
            self.validated += len(batch[1])

    def configure_optimizers(self):
        if self.estimates:
            assert self.trainer.estimated_stepping_batches > 0
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
    """The trainer of one rank of the group that `run_ranks` made."""
    return trainer(folder, strategy="ddp", **{"devices": torch.distributed.get_world_size()} | options)
