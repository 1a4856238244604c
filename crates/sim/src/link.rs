//! Links between hosts: rate, latency, fair sharing of the bandwidth between flows, cuts.

use std::collections::BTreeMap;

use hvrsim_types::id::HostId;
use hvrsim_types::size::Rate;
use hvrsim_types::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// Fixed-point grain of a flow's service: 2^-20 bytes.
const GRAIN: u128 = 1 << 20;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A flow of bytes in one direction of a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FlowId(pub u64);

/// One direction of a link. Every flow gets the same share at any moment, so it is enough to know how
/// much one flow would have got so far, and at which such amount each flow is through.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Pipe {
    served: u128,
    as_of: Instant,
    flows: BTreeMap<(u128, FlowId), ()>,
}

impl Pipe {
    fn catch_up(&mut self, now: Instant, rate: Rate) {
        let flows = self.flows.len() as u128;
        if flows > 0 {
            let nanos = u128::from((now - self.as_of).0);
            self.served += nanos * u128::from(rate.0) * GRAIN / (flows * NANOS_PER_SECOND);
        }
        self.as_of = now;
    }

    fn next_end(&self, rate: Rate) -> Option<Instant> {
        let ((end, _), ()) = self.flows.first_key_value()?;
        let missing = end.saturating_sub(self.served);
        let flows = self.flows.len() as u128;
        let nanos = (missing * flows * NANOS_PER_SECOND).div_ceil((u128::from(rate.0) * GRAIN).max(1));
        Some(self.as_of + Span(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

/// A link between two hosts, full duplex.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Link {
    /// Its ends.
    pub ends: (HostId, HostId),
    /// Bytes per second in each direction.
    pub rate: Rate,
    /// One way.
    pub latency: Span,
    /// It carries nothing.
    pub cut: bool,
    /// Counts cuts: a repair that belongs to an earlier cut does nothing.
    pub cuts: u32,
    /// Counts changes of the flows: a completion that was computed before one is void.
    pub version: u64,
    pipes: [Pipe; 2],
}

impl Link {
    /// A link that carries nothing yet.
    #[must_use]
    pub fn new(ends: (HostId, HostId), rate: Rate, latency: Span) -> Self {
        let rate = Rate(rate.0.max(1));
        Self {
            ends,
            rate,
            latency,
            cut: false,
            cuts: 0,
            version: 0,
            pipes: [Pipe::default(), Pipe::default()],
        }
    }

    /// Whether it joins these hosts, in either direction.
    #[must_use]
    pub fn joins(&self, a: HostId, b: HostId) -> bool {
        self.ends == (a, b) || self.ends == (b, a)
    }

    /// Starts a flow.
    pub fn start(&mut self, now: Instant, from: HostId, flow: FlowId, bytes: u64) {
        let pipe = &mut self.pipes[usize::from(from != self.ends.0)];
        pipe.catch_up(now, self.rate);
        let end = pipe.served + u128::from(bytes) * GRAIN;
        pipe.flows.insert((end, flow), ());
        self.version += 1;
    }

    /// Changes the rate from now on; gives back the one before.
    pub fn set_rate(&mut self, now: Instant, rate: Rate) -> Rate {
        for pipe in &mut self.pipes {
            pipe.catch_up(now, self.rate);
        }
        self.version += 1;
        std::mem::replace(&mut self.rate, Rate(rate.0.max(1)))
    }

    /// When the next flow is through, if nothing changes before.
    #[must_use]
    pub fn next_end(&self) -> Option<Instant> {
        self.pipes.iter().filter_map(|pipe| pipe.next_end(self.rate)).min()
    }

    /// Takes out the flows that are through.
    pub fn ended(&mut self, now: Instant) -> Vec<FlowId> {
        let mut through = Vec::new();
        for pipe in &mut self.pipes {
            pipe.catch_up(now, self.rate);
            while let Some(entry) = pipe.flows.first_entry().filter(|e| e.key().0 <= pipe.served) {
                through.push(entry.remove_entry().0.1);
            }
        }
        self.version += 1;
        through
    }

    /// Takes out flows that can no longer be carried. Returns the bytes of them that had not crossed.
    pub fn abort(&mut self, now: Instant, dead: impl Fn(FlowId) -> bool) -> u64 {
        let mut left = 0;
        for pipe in &mut self.pipes {
            pipe.catch_up(now, self.rate);
            let served = pipe.served;
            pipe.flows.retain(|(end, flow), ()| {
                let dead = dead(*flow);
                if dead {
                    left += end.saturating_sub(served).div_ceil(GRAIN);
                }
                !dead
            });
        }
        self.version += 1;
        u64::try_from(left).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link::new((HostId(0), HostId(1)), Rate(1000), Span::ZERO)
    }

    #[test]
    fn two_flows_share_fairly_and_one_gets_all() {
        let mut link = link();
        link.start(Instant(0), HostId(0), FlowId(1), 1000);
        assert_eq!(link.next_end(), Some(Instant(0) + Span::seconds(1)));
        link.start(Instant(0) + Span(500_000_000), HostId(0), FlowId(2), 1000);
        // 500 bytes are left of the first; at half the rate that takes a second more.
        let first = Instant(0) + Span(1_500_000_000);
        assert_eq!(link.next_end(), Some(first));
        assert_eq!(link.ended(first), vec![FlowId(1)]);
        assert_eq!(link.next_end(), Some(Instant(0) + Span::seconds(2)));
    }

    #[test]
    fn what_had_not_crossed_of_a_flow_is_told() {
        let mut link = link();
        link.start(Instant(0), HostId(0), FlowId(1), 1000);
        link.start(Instant(0), HostId(0), FlowId(2), 4000);
        let now = Instant(0) + Span::seconds(1);
        assert_eq!(link.abort(now, |flow| flow == FlowId(2)), 3500);
        assert_eq!(link.next_end(), Some(now + Span(500_000_000)));
    }

    #[test]
    fn a_slower_link_carries_the_rest_more_slowly() {
        let mut link = link();
        link.start(Instant(0), HostId(0), FlowId(1), 2000);
        let now = Instant(0) + Span::seconds(1);
        assert_eq!(link.set_rate(now, Rate(100)), Rate(1000));
        assert_eq!(link.next_end(), Some(now + Span::seconds(10)));
    }

    #[test]
    fn directions_do_not_share() {
        let mut link = link();
        link.start(Instant(0), HostId(0), FlowId(1), 1000);
        link.start(Instant(0), HostId(1), FlowId(2), 1000);
        assert_eq!(link.next_end(), Some(Instant(0) + Span::seconds(1)));
        assert_eq!(link.ended(Instant(0) + Span::seconds(1)).len(), 2);
    }
}
