//! A plain loop of discrete events, to set beside the simulator within one run.
//!
//! Nodes wait, ping another node and get a pong; each event draws from a xoshiro256++ stream, changes one number of its
//! node, and puts one event into a binary heap. It has no states, no messages and no trace: it is what the machine under
//! the benchmark can do at most, so that a ratio to it holds on another machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Nodes of the loop.
const NODES: u32 = 64;

/// xoshiro256++ (Blackman and Vigna, 2018).
struct Xoshiro([u64; 4]);

impl Xoshiro {
    /// Four words of splitmix64 from a seed.
    fn seeded(mut seed: u64) -> Self {
        Self([(); 4].map(|()| {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = seed;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ (word >> 31)
        }))
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    fn below(&mut self, limit: u32) -> u32 {
        let wide = u64::from(limit) * (self.next() >> 32);
        u32::try_from(wide >> 32).unwrap_or(0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Ping { from: u32 },
    Pong,
    Timer,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: u64,
    number: u64,
    node: u32,
    kind: Kind,
}

/// Carries out so many events; gives a number that depends on all of them.
#[must_use]
pub fn bare_xoshiro(events: u64) -> u64 {
    let mut rng = Xoshiro::seeded(1);
    let mut states = vec![0_u64; NODES as usize];
    let mut queue = BinaryHeap::with_capacity(states.len() * 4);
    for node in 0..NODES {
        let at = u64::from(rng.below(1000));
        queue.push(Reverse(Event { at, number: u64::from(node), node, kind: Kind::Timer }));
    }
    for number in u64::from(NODES)..u64::from(NODES) + events {
        let Some(Reverse(event)) = queue.pop() else { break };
        let state = &mut states[event.node as usize];
        *state = state.wrapping_mul(31).wrapping_add(event.at ^ event.number);
        let at = event.at + 100 + u64::from(rng.below(900));
        let (node, kind) = match event.kind {
            Kind::Timer => (rng.below(NODES), Kind::Ping { from: event.node }),
            Kind::Ping { from } => (from, Kind::Pong),
            Kind::Pong => (event.node, Kind::Timer),
        };
        queue.push(Reverse(Event { at, number, node, kind }));
    }
    states.into_iter().fold(0, |all, state| all.rotate_left(5) ^ state)
}
