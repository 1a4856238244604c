//! The life cycle of Hyper-V Replica, pure.

pub mod operation;
