//! The cmdlets of the Hyper-V module: what a line of a runbook asks of the simulated world.
//!
//! One table ([`table`]) says what exists. [`parse`] splits a line as PowerShell does, [`bind`] finds the
//! parameter set and checks the values, [`check`] looks at names before anything runs, and [`plan`] turns the
//! call into operations on copies or into the table that a `Get-` cmdlet shows; [`Object`] is what a cmdlet returns. Script syntax (variables,
//! pipelines, several statements) is not part of it.

pub mod table;

mod adapter;
mod bind;
mod check;
mod error;
mod object;
mod parse;
mod plan;
mod settings;
mod show;
mod value;

pub use bind::{Call, bind};
pub use check::{Names, check};
pub use error::{BindError, SyntaxError};
pub use object::{Class, Object, Property, PropertyValue};
pub use parse::{CommandLine, Item, Token, is_blank, parse};
pub use plan::{Action, plan};
pub use show::returned;
