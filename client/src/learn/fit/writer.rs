//! Writes the files of an epoch while the next one is trained.

use std::{
    panic::resume_unwind,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use super::{Error, policy::PolicyAction};
use crate::learn::{learner::Snapshot, run::RunFolder};

/// A thread that writes the files of the last epoch, if there is one.
#[derive(Debug, Default)]
pub struct EpochWriter {
    thread: Option<JoinHandle<Result<Snapshot, Error>>>,
    /// Receives when the thread has written the model.
    model: Option<Receiver<()>>,
    /// The last snapshot that was written.
    written: Option<Snapshot>,
}

impl EpochWriter {
    /// A writer that has written `snapshot`.
    #[must_use]
    pub fn of_written(snapshot: Snapshot) -> Self {
        Self {
            written: Some(snapshot),
            ..Self::default()
        }
    }

    /// Starts to write `snapshot`, after the files before are written.
    pub(in crate::learn) fn start(
        &mut self,
        run: &RunFolder,
        snapshot: Snapshot,
        actions: Vec<PolicyAction>,
    ) -> Result<(), Error> {
        self.wait()?;
        let run = run.clone();
        let (model_written, model) = sync_channel(1);
        self.model = Some(model);
        self.thread = Some(std::thread::spawn(move || {
            write(&run, &snapshot, &actions, &model_written).map(|()| snapshot)
        }));
        Ok(())
    }

    /// Waits until the model of the last epoch is written; its checkpoint may not be. [`EpochWriter::wait`] returns the error if it cannot be.
    pub fn wait_for_model(&mut self) {
        if let Some(model) = self.model.take() {
            let _failed = model.recv();
        }
    }

    /// Waits until the files are written.
    ///
    /// # Errors
    ///
    /// If one could not be.
    pub fn wait(&mut self) -> Result<(), Error> {
        if let Some(thread) = self.thread.take() {
            let written = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            self.written = Some(written?);
        }
        Ok(())
    }

    /// Takes the last snapshot that was written, so that its memory can be used again.
    pub(in crate::learn) fn take_written(&mut self) -> Option<Snapshot> {
        self.written.take()
    }
}

/// Writes model and checkpoint, and sends `model_written` between them. The run's checkpoint is replaced last, so that a run killed before repeats
/// the epoch identically.
fn write(
    run: &RunFolder,
    snapshot: &Snapshot,
    actions: &[PolicyAction],
    model_written: &SyncSender<()>,
) -> Result<(), Error> {
    snapshot.with_model(|model| run.save_model(model))??;
    let _nobody_waits = model_written.send(());
    let mut written: Option<PathBuf> = None;
    let mut save = |path: PathBuf| {
        RunFolder::save_checkpoint_as(&snapshot.checkpoint, &path, written.as_deref())?;
        written.get_or_insert(path);
        Ok::<(), Error>(())
    };
    for action in actions {
        match *action {
            PolicyAction::SaveBest => {
                run.save_best_model()?;
                save(run.best_checkpoint_path())?;
            }
            PolicyAction::Keep { epoch } => save(run.kept_path(epoch))?,
            PolicyAction::Drop { epoch } => run.drop_checkpoint(epoch)?,
            PolicyAction::Stop => {}
        }
    }
    save(run.checkpoint_path())
}
