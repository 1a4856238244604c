//! From the trace to what people and programs read. It knows the records and nothing of how they came to be.
//!
//! * [`timeline`]: who did what when, as plain text
//! * [`transcript`]: the same as a golden holds it, and two of them compared
//! * [`events`]: the event log, JSON Lines
//! * [`findings`]: what there is to find at the end, and the Windows event logs
//! * [`html`]: the report, one HTML file
//! * [`coverage`]: which rules runs took; [`diagram`]: the states that they went through
//! * [`heat`]: the map of a disk that was resynchronized, HTML
//! * [`junit`]: results for services that show tests
//! * [`chrome`]: a trace for Perfetto

pub mod chrome;
pub mod coverage;
pub mod diagram;
pub mod events;
pub mod findings;
pub mod heat;
pub mod html;
pub mod junit;
pub mod names;
pub mod timeline;
pub mod transcript;
