//! Binding: which parameter each argument belongs to, and which parameter set that makes.
//!
//! The order is PowerShell's: named arguments, then positional ones in the default set first, then the set,
//! then mandatory parameters (about_Parameter_Sets, about_Parameters; cmdlet parameter binding in the PowerShell
//! documentation). A failure has the id that PowerShell shows.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use hvrsim_replica::operation::SettingsChange;
use hvrsim_types::near::nearest;

use crate::error::BindError;
use crate::parse::{CommandLine, Item, Token};
use crate::table::{self, CMDLETS, Cmdlet, OTHERS, Parameter, Support, Verb, Waits};
use crate::value::{Value, convert};

/// A cmdlet with its arguments, checked against the table: what is left to know is the world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    pub(crate) cmdlet: &'static Cmdlet,
    set: &'static str,
    arguments: BTreeMap<&'static str, Argument>,
    span: Range<usize>,
}

/// A bound argument.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Argument {
    value: Value,
    span: Range<usize>,
    support: Support,
}

/// A positional value: its scalars and its bytes in the line.
type Positional<'a> = (&'a [Item], &'a Range<usize>);

/// Finds the cmdlet, its parameter set and the value of each parameter.
///
/// # Errors
/// The line is not a call that PowerShell would make, or not one that this version simulates.
pub fn bind(line: &CommandLine) -> Result<Call, BindError> {
    let cmdlet = cmdlet(line)?;
    let mut binder =
        Binder { cmdlet, sets: cmdlet.sets.to_vec(), arguments: BTreeMap::new(), line: line.span.clone() };
    let positional = binder.named(&line.tokens)?;
    for (items, span) in positional {
        binder.positional(items, span)?;
    }
    let set = binder.set()?;
    let call = Call { cmdlet, set, arguments: binder.arguments, span: line.span.clone() };
    call.refuse_not_simulated()?;
    call.refuse_combinations()?;
    Ok(call)
}

fn cmdlet(line: &CommandLine) -> Result<&'static Cmdlet, BindError> {
    let name = line.name.as_str();
    if let Some(cmdlet) = table::find(name) {
        return Ok(cmdlet);
    }
    let span = line.name_span.clone();
    if let Some(real) = table::is_real(name) {
        let message =
            format!("{real} is a cmdlet of the Hyper-V module that this version does not simulate.");
        return Err(BindError::new("NotSimulated", message).at(span));
    }
    let known = CMDLETS.iter().flat_map(|c| std::iter::once(c.name).chain(c.aliases.iter().copied()));
    let near = nearest(name, known.chain(OTHERS.iter().copied()));
    let message = format!("The term '{name}' is not recognized as the name of a cmdlet.");
    Err(BindError::new("CommandNotFoundException", message).at(span).near(near))
}

struct Binder {
    cmdlet: &'static Cmdlet,
    /// The parameter sets that are still possible.
    sets: Vec<&'static str>,
    arguments: BTreeMap<&'static str, Argument>,
    line: Range<usize>,
}

impl Binder {
    fn error(&self, id: &str, message: impl Into<String>) -> BindError {
        BindError::new(format!("{id},{}", self.cmdlet.class()), message)
    }

    /// Binds what is named and returns the rest.
    fn named<'a>(&mut self, tokens: &'a [Token]) -> Result<Vec<Positional<'a>>, BindError> {
        let mut positional = Vec::new();
        let mut tokens = tokens.iter().peekable();
        while let Some(token) = tokens.next() {
            let (name, colon, span) = match token {
                Token::Value { items, span } => {
                    positional.push((items.as_slice(), span));
                    continue;
                }
                Token::Parameter { name, colon, span } => (name, *colon, span),
            };
            let parameter = self.resolve(name, span)?;
            if parameter.ty == table::Type::Switch && !colon {
                self.put(parameter, Value::Switch(true), span)?;
                continue;
            }
            let next = tokens.next_if(|t| matches!(t, Token::Value { .. }));
            let Some(Token::Value { items, span: value_span }) = next else {
                let message = format!(
                    "Missing an argument for parameter '{}'. Specify a parameter of type '{}' and try again.",
                    parameter.name,
                    parameter.ty.dotnet()
                );
                return Err(self.error("MissingArgument", message).at(span.clone()));
            };
            let value = convert(self.cmdlet, parameter, items)?;
            self.put(parameter, value, &(span.start..value_span.end))?;
        }
        Ok(positional)
    }

    /// The parameter that `written` names: exactly, or as the beginning of one only.
    fn resolve(&self, written: &str, span: &Range<usize>) -> Result<&'static Parameter, BindError> {
        let same = |p: &&Parameter| p.names().any(|n| n.eq_ignore_ascii_case(written));
        if let Some(exact) = self.cmdlet.parameters().find(same) {
            return Ok(exact);
        }
        let begins = |n: &str| n.get(..written.len()).is_some_and(|head| head.eq_ignore_ascii_case(written));
        let found: Vec<_> = self.cmdlet.parameters().filter(|p| p.names().any(begins)).collect();
        match found.as_slice() {
            [only] => Ok(only),
            [] => {
                let message = format!("A parameter cannot be found that matches parameter name '{written}'.");
                let name = written.split('=').next().unwrap_or(written);
                let near = nearest(name, self.cmdlet.parameters().flat_map(Parameter::names));
                let error = self.error("NamedParameterNotFound", message).at(span.clone());
                Err(error.near(near.map(|n| format!("-{n}")).as_deref()))
            }
            several => {
                let names: Vec<_> = several.iter().map(|p| format!("-{}", p.name)).collect();
                let message = format!(
                    "Parameter cannot be processed because the parameter name '{written}' is ambiguous. Possible \
                     matches include: {}.",
                    names.join(" ")
                );
                Err(self.error("AmbiguousParameter", message).at(span.clone()))
            }
        }
    }

    fn put(
        &mut self,
        parameter: &'static Parameter,
        value: Value,
        span: &Range<usize>,
    ) -> Result<(), BindError> {
        let argument = Argument { value, span: span.clone(), support: parameter.support };
        if self.arguments.insert(parameter.name, argument).is_some() {
            let message = format!(
                "Cannot bind parameter because parameter '{}' is specified more than once. To provide multiple \
                 values to parameters that can accept multiple values, use the array syntax: -Parameter \
                 value1,value2.",
                parameter.name
            );
            return Err(self.error("ParameterAlreadyBound", message).at(span.clone()));
        }
        self.sets.retain(|set| parameter.place(set).is_some());
        if self.sets.is_empty() {
            return Err(self.ambiguous(span.clone()));
        }
        Ok(())
    }

    fn ambiguous(&self, span: Range<usize>) -> BindError {
        let sets: Vec<_> = self.cmdlet.sets.iter().map(|set| usage(self.cmdlet, set)).collect();
        self.error(
            "AmbiguousParameterSet",
            "Parameter set cannot be resolved using the specified named parameters.",
        )
        .at(span)
        .help(format!("the parameter sets are:\n{}", sets.join("\n")))
    }

    fn positional(&mut self, items: &[Item], span: &Range<usize>) -> Result<(), BindError> {
        let Some(parameter) = self.next_positional() else {
            let text = items.first().map_or("", |i| i.text.as_str());
            let message = format!("A positional parameter cannot be found that accepts argument '{text}'.");
            return Err(self.error("PositionalParameterNotFound", message).at(span.clone()));
        };
        let value = convert(self.cmdlet, parameter, items)?;
        self.put(parameter, value, span)
    }

    /// The unbound parameter at the lowest position: of the default set if that is possible, else of the first
    /// set that can be written on a line.
    fn next_positional(&self) -> Option<&'static Parameter> {
        let free = |set: &'static str| {
            let unbound = |(p, place): (&'static Parameter, table::Place)| {
                place.position.filter(|_| !self.arguments.contains_key(p.name)).map(|at| (at, p))
            };
            self.cmdlet.syntax(set).into_iter().find_map(unbound)
        };
        let default = self.sets.first().filter(|set| self.cmdlet.sets.first() == Some(set));
        match default {
            Some(set) => free(set).map(|(_, p)| p),
            None => self
                .sets
                .iter()
                .filter_map(|set| free(set))
                .min_by_key(|(at, p)| (*at, matches!(p.ty, table::Type::Object(..))))
                .map(|(_, p)| p),
        }
    }

    /// The one set that is meant.
    fn set(&self) -> Result<&'static str, BindError> {
        let missing = |set: &'static str| {
            let absent = |p: &Parameter| !self.arguments.contains_key(p.name);
            let syntax = self.cmdlet.syntax(set).into_iter();
            let names = syntax.filter(|(p, place)| place.mandatory && absent(p)).map(|(p, _)| p.name);
            names.collect::<Vec<_>>()
        };
        let default = self.sets.iter().find(|set| self.cmdlet.sets.first() == Some(set));
        let set = match (default, self.sets.as_slice()) {
            (Some(set), _) | (None, [set]) => *set,
            (None, several) => several
                .iter()
                .find(|set| missing(set).is_empty())
                .ok_or_else(|| self.ambiguous(self.line.clone()))?,
        };
        let missing = missing(set);
        if missing.is_empty() {
            return Ok(set);
        }
        let message = format!(
            "Cannot process command because of one or more missing mandatory parameters: {}.",
            missing.join(" ")
        );
        let error = self.error("MissingMandatoryParameter", message).at(self.line.clone());
        Err(error.help(format!("the parameter set is:\n{}", usage(self.cmdlet, set))))
    }
}

/// One set as the documentation prints it, without what every cmdlet has.
fn usage(cmdlet: &Cmdlet, set: &'static str) -> String {
    let mut text = format!("  {set}: {}", cmdlet.name);
    let selector = |p: &Parameter| matches!(p.name, "CimSession" | "ComputerName" | "Credential");
    for (parameter, place) in cmdlet.syntax(set) {
        if selector(parameter) || parameter.places.is_empty() {
            continue;
        }
        let name = match place.position {
            Some(_) => format!("[-{}]", parameter.name),
            None => format!("-{}", parameter.name),
        };
        let full = match parameter.ty {
            table::Type::Switch => name,
            ty => format!("{name} <{}>", ty.short()),
        };
        text += &if place.mandatory { format!(" {full}") } else { format!(" [{full}]") };
    }
    text
}

impl fmt::Display for Call {
    /// The call with every parameter's full name, in the order of the alphabet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cmdlet.name)?;
        for (name, argument) in &self.arguments {
            match argument.value {
                Value::Switch(true) => write!(f, " -{name}")?,
                Value::Switch(false) => write!(f, " -{name}:$false")?,
                _ => write!(f, " -{name} {}", argument.value)?,
            }
        }
        Ok(())
    }
}

impl Call {
    /// The cmdlet.
    #[must_use]
    pub const fn cmdlet(&self) -> &'static Cmdlet {
        self.cmdlet
    }

    /// The parameter set.
    #[must_use]
    pub const fn set(&self) -> &'static str {
        self.set
    }

    /// The parameters given that are accepted and change nothing in this version.
    pub fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        self.arguments.iter().filter(|(_, a)| a.support == Support::NoEffect).map(|(name, _)| *name)
    }

    /// Whether PowerShell waits for the work before it goes on.
    #[must_use]
    pub fn waits(&self) -> bool {
        let by_kind = match self.cmdlet.waits {
            Waits::Always => true,
            Waits::Never => false,
            Waits::Unless(switch) => !self.switch(switch),
        };
        by_kind && !self.switch("AsJob")
    }

    /// `FullyQualifiedErrorId` of an error of this cmdlet, as PowerShell shows it.
    #[must_use]
    pub fn error_id(&self, id: &str) -> String {
        format!("{id},{}", self.cmdlet.class())
    }

    pub(crate) fn error(&self, id: &str, message: impl Into<String>) -> BindError {
        BindError::new(self.error_id(id), message).at(self.span.clone())
    }

    /// An error at an argument.
    pub(crate) fn error_at(&self, parameter: &str, id: &str, message: impl Into<String>) -> BindError {
        let span = self.arguments.get(parameter).map_or(&self.span, |a| &a.span);
        self.error(id, message).at(span.clone())
    }

    pub(crate) fn value(&self, parameter: &str) -> Option<&Value> {
        self.arguments.get(parameter).map(|a| &a.value)
    }

    pub(crate) fn switch(&self, parameter: &str) -> bool {
        self.value(parameter) == Some(&Value::Switch(true))
    }

    pub(crate) fn text(&self, parameter: &str) -> Option<&str> {
        match self.value(parameter)? {
            Value::Text(text) => Some(text),
            Value::Choice(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn texts(&self, parameter: &str) -> &[String] {
        match self.value(parameter) {
            Some(Value::Texts(texts)) => texts,
            Some(Value::Text(text)) => std::slice::from_ref(text),
            _ => &[],
        }
    }

    fn refuse_not_simulated(&self) -> Result<(), BindError> {
        if let Some(what) = self.cmdlet.lacks {
            let message =
                format!("{} is not supported by this version. Not simulated: {what}.", self.cmdlet.name);
            return Err(self.error("NotSimulated", message));
        }
        for (name, argument) in &self.arguments {
            let refused = match (argument.support, &argument.value) {
                (Support::Acts | Support::NoEffect, _) | (_, Value::Switch(false)) => false,
                (Support::Later, _) => true,
                (Support::Only(only), Value::Choice(value)) => only != *value,
                (Support::Only(only), Value::Integer(value)) => only != value.to_string(),
                (Support::Only(_), _) => true,
            };
            if refused {
                let message = format!("{} -{name} is not supported by this version.", self.cmdlet.name);
                let error = self.error_at(name, "NotSimulated", message);
                return Err(match argument.support {
                    Support::Only(only) => error.help(format!("`{only}` is, and is what happens without it")),
                    _ => error,
                });
            }
        }
        Ok(())
    }

    /// Parameters of one set that exclude or need one another.
    fn refuse_combinations(&self) -> Result<(), BindError> {
        let given = |name: &str| self.value(name).is_some_and(|v| *v != Value::Switch(false));
        let both = |a: &str, b: &str| {
            let message = format!("-{a} and -{b} exclude each other.");
            Err(self.error_at(b, "InvalidParameter", message))
        };
        match self.cmdlet.verb {
            Verb::SetReplication if given("Reverse") && given("AsReplica") => both("Reverse", "AsReplica"),
            Verb::SetReplication
                if given("AsReplica") && self.settings_change() != SettingsChange::default() =>
            {
                let message = "-AsReplica takes no settings: they come with the new primary.";
                Err(self.error_at("AsReplica", "InvalidParameter", message))
            }
            Verb::SetReplication if given("ReplicaServerName") && !given("Reverse") => {
                let message =
                    "Set-VMReplication -ReplicaServerName without -Reverse is not supported by this version.";
                Err(self.error_at("ReplicaServerName", "NotSimulated", message))
            }
            Verb::ResumeReplication if given("Resynchronize") && given("Continue") => {
                both("Resynchronize", "Continue")
            }
            Verb::ResumeReplication if given("ResynchronizeStartTime") && !given("Resynchronize") => {
                let message =
                    "-ResynchronizeStartTime says when to resynchronize, and -Resynchronize is missing.";
                Err(self.error_at("ResynchronizeStartTime", "InvalidParameter", message))
            }
            Verb::StopVm if given("Save") && given("TurnOff") => both("Save", "TurnOff"),
            _ => Ok(()),
        }
    }
}
