//! From the trace to what people and programs read. It knows the records and nothing of how they came to be.
//!
//! * [`timeline`]: who did what when, as plain text
//! * [`events`]: the event log, JSON Lines
//! * [`heat`]: the map of a disk that was resynchronized, HTML

pub mod events;
pub mod heat;
pub mod timeline;
