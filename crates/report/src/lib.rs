//! From the trace to what people and programs read. It knows the records and nothing of how they came to be.
//!
//! * [`timeline`]: who did what when, as plain text
//! * [`events`]: the event log, JSON Lines

pub mod events;
pub mod timeline;
