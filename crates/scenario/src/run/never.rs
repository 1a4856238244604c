//! `never`: what must not be at any moment.

use hvrsim_sim::Look;
use hvrsim_sim::store::DiskStore;
use hvrsim_sim::trace::What;
use hvrsim_types::id::VmId;
use hvrsim_types::time::{Instant, Span};

use super::{Done, Run};
use crate::diagnostic::Diagnostic;
use crate::model::expect::{Never, NeverWhat};
use crate::run::Trouble;

impl<D: DiskStore> Run<'_, D> {
    /// Looks whether anything is that must not be.
    pub(super) fn look(&mut self) -> Done {
        if !self.guarded {
            return Ok(());
        }
        self.tell();
        let scenario = self.scenario;
        let mut wrong = Vec::new();
        for never in &scenario.never {
            if let Some(text) = self.broken(&never.value) {
                self.record(What::Expected { line: never.place.line, met: false, text: text.clone() });
                let help = match self.line {
                    0 => format!("this was so at {}, before the first step", self.sim.world.now),
                    line => format!("this was so at {}, in the step of line {line}", self.sim.world.now),
                };
                let help = Some(help);
                wrong.push(Diagnostic::error(&scenario.source, never.place, text, help));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Trouble::Wrong(wrong)) }
    }

    /// Records what never was.
    pub(super) fn kept(&mut self) {
        if !self.guarded {
            return;
        }
        let scenario = self.scenario;
        for never in &scenario.never {
            let of =
                never.vm.as_ref().map_or(String::new(), |vm| format!(" of {}", self.sim.vm_name(vm.value)));
            let text = format!("never {}{of}", never.what);
            self.record(What::Expected { line: never.place.line, met: true, text });
        }
    }

    fn broken(&self, never: &Never) -> Option<String> {
        let named = never.vm.as_ref().map(|vm| vm.value);
        let of = |vm: VmId| named.is_none_or(|named| named == vm);
        match &never.what {
            NeverWhat::RunningOnBoth => {
                let vms =
                    (0..self.sim.world.vms.len()).filter_map(|index| u32::try_from(index).ok().map(VmId));
                vms.filter(|vm| of(*vm)).find_map(|vm| self.running_on_both(vm))
            }
            NeverWhat::UnprotectedLongerThan(limit) => {
                self.watch.replicated().filter(|vm| of(*vm)).find_map(|vm| {
                    let span = self.watch.unprotected_for(vm).filter(|span| span > limit)?;
                    let name = self.sim.vm_name(vm);
                    Some(format!(
                        "{name} has not been protected for {}, at most {limit} was allowed",
                        rounded(span)
                    ))
                })
            }
            NeverWhat::Rpo(forbidden) => self.watch.replicated().filter(|vm| of(*vm)).find_map(|vm| {
                let rpo = self.watch.rpo(vm).filter(|rpo| forbidden.holds(rpo))?;
                let name = self.sim.vm_name(vm);
                Some(format!("RPO of {name}: must never be {forbidden}, found {}", rounded(rpo)))
            }),
        }
    }

    /// The next moment at which a time that `never` names is over, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let clauses = if self.guarded { self.scenario.never.as_slice() } else { &[] };
        let times = clauses.iter().filter_map(|never| match &never.what {
            NeverWhat::RunningOnBoth => None,
            NeverWhat::UnprotectedLongerThan(limit) => {
                let since = |vm| self.watch.unprotected_since(vm);
                self.watch.replicated().filter_map(since).map(|since| since + *limit).min()
            }
            NeverWhat::Rpo(forbidden) => {
                let since = |vm| self.watch.safe_since(vm);
                self.watch.replicated().filter_map(since).map(|since| since + forbidden.value).min()
            }
        });
        times.min().map(|over| over + Span(1))
    }

    fn running_on_both(&self, vm: VmId) -> Option<String> {
        let hosts = self.watch.running(vm);
        let names: Vec<&str> = hosts.iter().map(|host| self.sim.host_name(*host)).collect();
        (names.len() > 1).then(|| format!("{} runs on {}", self.sim.vm_name(vm), names.join(" and on ")))
    }
}

/// Below a second nobody reads.
fn rounded(span: Span) -> Span {
    Span::seconds(span.as_seconds())
}
