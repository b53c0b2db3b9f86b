use super::instructions::InstructionSet;
use super::pool::Pool;
use super::scratch::Workspace;

/// Resources of a kernel call.
pub struct ExecContext<'a> {
    /// Instruction set.
    pub set: InstructionSet,
    /// Threads.
    pub pool: &'a dyn Pool,
    /// Temporary memory.
    pub workspace: &'a mut Workspace,
}

impl std::fmt::Debug for ExecContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("set", &self.set)
            .finish_non_exhaustive()
    }
}
