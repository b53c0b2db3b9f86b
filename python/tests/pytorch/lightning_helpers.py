"""A Lightning module that records what it is shown."""

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
        default_root_dir=folder, accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False, **options
    )
