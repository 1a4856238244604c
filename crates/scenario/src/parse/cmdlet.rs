//! The lines of `run`: one cmdlet each, checked by those who know cmdlets.

use hvrsim_cmdlets::{BindError, CommandLine, Item, Names, Token, bind, check, is_blank, parse};

use super::Reader;
use crate::model::step::{Line, MarkedPoint};
use crate::source::At;
use crate::yaml::Node;

/// Stands in for the id of a recovery point that is known at run time only.
const ANY_POINT: &str = "00000000-0000-0000-0000-000000000000";

impl Reader<'_> {
    /// The cmdlets of a text; blank lines and comments are left out. `has_host`: the step names a host.
    pub(super) fn cmdlets(&mut self, node: &Node, text: &str, has_host: bool) -> Vec<Line> {
        let lines = self.lines(node, text, |line| !is_blank(line));
        if lines.is_empty() {
            self.error(node.place, "there is no cmdlet in `run`", None);
        }
        lines.into_iter().filter_map(|line| self.cmdlet(line, has_host)).collect()
    }

    fn cmdlet(&mut self, text: At<String>, has_host: bool) -> Option<Line> {
        let command = match parse(&text) {
            Ok(command) => command,
            Err(error) => {
                let place = text.place.part(&text, error.span.start, error.span.len());
                self.error(place, error.message, error.help);
                return None;
            }
        };
        if !has_host && !names_a_computer(&command) {
            let help = Some("add `host: NAME` to the step, or -ComputerName to the line".to_owned());
            self.error(
                text.place,
                "on which host? The line has no -ComputerName and the step no `host`",
                help,
            );
        }
        let points = self.marked_points(&text, &command)?;
        let line = Line { text, command, points };
        match self.bind(&line) {
            Ok(resized) => self.resized(&resized),
            Err(error) => {
                let span = error.span.clone().unwrap_or(line.command.span.clone());
                let place = line.text.place.part(&line.text, span.start, span.len());
                self.error(place, error.message, error.help);
            }
        }
        Some(line)
    }

    /// The disks that the line resizes.
    fn bind(&self, line: &Line) -> Result<Vec<(String, u8)>, BindError> {
        let call = bind(&line.command_with(|_| ANY_POINT.to_owned()))?;
        let access_points = &self.names.access_points;
        check(&call, &Names { hosts: &self.names.hosts, access_points, vms: &self.names.all_vms() })?;
        Ok(call.resized())
    }

    /// From here on their sizes are known at run time only.
    fn resized(&mut self, disks: &[(String, u8)]) {
        for (vm, disk) in disks {
            let index = self.names.vms.iter().position(|name| name.eq_ignore_ascii_case(vm));
            let sizes = index.and_then(|index| self.sizes.get_mut(index));
            if let Some(size) = sizes.and_then(|sizes| sizes.get_mut(usize::from(*disk))) {
                *size = None;
            }
        }
    }

    /// The arguments of the form `HOST/VM@NAME`; those that count from the newest are the cmdlets' own.
    /// `None` when one of them does not exist.
    fn marked_points(&mut self, text: &At<String>, command: &CommandLine) -> Option<Vec<MarkedPoint>> {
        let mut points = Vec::new();
        for (token, items) in
            command.tokens.iter().enumerate().filter_map(|(n, token)| Some((n, values(token)?)))
        {
            for (item, value) in items.iter().enumerate() {
                let place = text.place.part(text, value.span.start, value.span.len());
                if let Some((copy, name)) = value.text.rsplit_once('@').filter(|at| is_marked(*at)) {
                    let point = At::new(self.point_of(copy, name, place)?, place);
                    points.push(MarkedPoint { token, item, point });
                }
            }
        }
        Some(points)
    }
}

/// Whether what stands before and after the `@` is a copy and a name.
fn is_marked((copy, name): (&str, &str)) -> bool {
    copy.contains('/') && !name.starts_with('-')
}

fn values(token: &Token) -> Option<&[Item]> {
    match token {
        Token::Value { items, .. } => Some(items),
        Token::Parameter { .. } => None,
    }
}

/// Whether a line says itself on which host it acts; names of parameters may be shortened.
fn names_a_computer(command: &CommandLine) -> bool {
    command.tokens.iter().any(|token| match token {
        Token::Parameter { name, .. } => {
            let name = name.to_ascii_lowercase();
            name.len() >= 2
                && ["computername", "cimsession"].iter().any(|full| full.starts_with(&name))
                && !"confirm".starts_with(&name)
        }
        Token::Value { .. } => false,
    })
}
