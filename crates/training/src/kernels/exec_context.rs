use super::instructions::InstructionSet;
use super::pool::Pool;
use super::scratch::Workspace;

/// Where a kernel runs.
pub struct ExecContext<'a> {
    /// Its instructions.
    pub set: InstructionSet,
    /// Its threads.
    pub pool: &'a dyn Pool,
    /// Its memory.
    pub workspace: &'a mut Workspace,
}

impl std::fmt::Debug for ExecContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("set", &self.set)
            .finish_non_exhaustive()
    }
}
