//! Network adapters of machines, switches of hosts, and what is expected of them.

use std::net::IpAddr;

use hvrsim_types::network::Adapter;

use super::Reader;
use super::fields::Fields;
use crate::model::expect::NetworkExpectation;
use crate::source::At;
use crate::yaml::{Kind, Node};

/// A machine has so many adapters at most.
const MAX_ADAPTERS: usize = 8;

impl Reader<'_> {
    /// `switches`: a list of names.
    pub(super) fn switches(&mut self, node: &Node) -> Option<Vec<String>> {
        let items = self.items(node, "`switches`")?;
        items.iter().map(|item| self.name(item).map(|at| at.value)).collect()
    }

    /// `adapters`: a list of maps.
    pub(super) fn adapters(&mut self, node: &Node) -> Option<Vec<Adapter>> {
        let items = self.items(node, "`adapters`")?;
        if items.len() > MAX_ADAPTERS {
            self.error(
                node.place,
                format!("a virtual machine has at most {MAX_ADAPTERS} network adapters"),
                None,
            );
            return None;
        }
        items.iter().map(|item| self.adapter(item)).collect()
    }

    fn adapter(&mut self, node: &Node) -> Option<Adapter> {
        let fields = self.fields(node, "a network adapter", &["name", "switch", "address"])?;
        let name = self.optional(&fields, "name", Self::name).map(|at| at.value);
        let switch = self.optional(&fields, "switch", Self::name).map(|at| at.value);
        let address = self.optional(&fields, "address", Self::address).map(|at| at.value);
        Some(Adapter {
            name: name.unwrap_or_else(|| Adapter::DEFAULT_NAME.to_owned()),
            switch,
            address,
            failover: None,
            test_switch: None,
            test_pool: None,
        })
    }

    fn address(&mut self, node: &Node) -> Option<At<IpAddr>> {
        const EXPECTED: &str = "an IP address such as 192.0.2.10";
        self.parsed(node, EXPECTED, |text| text.parse().map_err(|_| format!("`{text}` is not {EXPECTED}")))
    }

    pub(super) fn items<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        if let Kind::List(items) = &node.kind {
            return Some(items);
        }
        self.error(node.place, format!("{what} is a list, found {}", node.found()), None);
        None
    }

    /// `address` and `switch`, each a value or `none`.
    pub(super) fn network_expectation(&mut self, fields: &Fields<'_>) -> NetworkExpectation {
        let address = self.optional(fields, "address", |r, n| r.unless_none(n, Self::address));
        let switch = self.optional(fields, "switch", |r, n| r.unless_none(n, Self::name));
        NetworkExpectation { address, switch }
    }

    fn unless_none<T>(
        &mut self,
        node: &Node,
        read: impl FnOnce(&mut Self, &Node) -> Option<At<T>>,
    ) -> Option<At<Option<T>>> {
        if matches!(&node.kind, Kind::Scalar(text, _) if text == "none") {
            return Some(At::new(None, node.place));
        }
        read(self, node).map(|at| At::new(Some(at.value), at.place))
    }
}
