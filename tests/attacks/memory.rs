//! More memory than is there.
